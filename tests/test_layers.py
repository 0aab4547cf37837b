"""Who may import whom: held by reading the sources, so that it holds for code nobody runs."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1] / "rtre"

# Height of each part; a file may import from parts that are lower, or from its own.
HEIGHT = {
    "errors": 0, "units": 1, "checks": 1, "names": 1,
    "market": 2, "sheet": 3, "order": 3, "figures": 4, "report": 5, "config": 5, "reading": 6,
    "kernels": 5, "windows": 6, "models": 7, "fits": 8, "venues": 8,
    "statistics": 8, "lineup": 8, "outcome_log": 8, "tested": 9, "estimators": 9, "track": 10,
    "scorer": 11, "engine": 12, "backtest": 13,
    "feeds": 14, "pipeline": 14, "sinks": 14,
    "warm": 15, "app": 16, "options": 17, "starting": 17, "command": 18, "program": 19,
    "__main__": 20,
}  # fmt: skip

# The tests of a forecast are functions of arrays, and the engine scores its own forecasts with
# them; what runs a backtest stands above the engine.
STATISTICS = {
    "attribution", "battery", "coverage", "duration", "dynamic_quantile", "eprocess", "exceedances",
    "independence", "result", "running", "scores", "shortfall", "tournament", "traffic_light",
}  # fmt: skip

# Siblings at one height that may know each other, and why.
ALLOWED = {
    ("pipeline", "feeds"): "the interface of a feed, rtre.feeds.base, and nothing else",
}
TRIO = {"feeds", "pipeline", "sinks", "app", "program"}
SOCKETS = {"feeds/transport.py", "feeds/server.py", "feeds/guarded.py"}
CLOCKS = {"feeds", "pipeline", "app", "sinks", "program"}

FILES = sorted(ROOT.rglob("*.py"))


def part(path: Path) -> str:
    relative = path.relative_to(ROOT)
    return layer(relative.with_suffix("").parts)


def layer(parts: tuple[str, ...]) -> str:
    """The part that a module, by its names below `rtre`, belongs to."""
    if parts[0] == "backtest" and len(parts) > 1 and parts[1] in STATISTICS:
        return "statistics"
    if parts == ("backtest", "command"):  # it talks to people, like program
        return "command"
    return parts[0]


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(path: Path) -> list[tuple[str, bool]]:
    """Every imported module, and whether it is imported for type checkers only."""
    tree = ast.parse(path.read_text())
    found: list[tuple[str, bool]] = []

    def visit(node: ast.AST, typing_only: bool) -> None:
        for child in ast.iter_child_nodes(node):
            only = typing_only
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
                only = True
            if isinstance(child, ast.Import):
                found.extend((alias.name, only) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                assert not child.level, f"{name(path)}: a relative import hides what it imports"
                if child.module == "rtre":
                    found.extend((f"rtre.{alias.name}", only) for alias in child.names)
                else:
                    found.append((child.module or "", only))
            visit(child, only)

    visit(tree, False)
    return found


def ours(path: Path) -> list[str]:
    return [
        layer(tuple(module.split(".")[1:]))
        for module, only in imports(path)
        if module.startswith("rtre.") and not only
    ]


@pytest.mark.parametrize("path", FILES, ids=name)
def test_imports_point_down(path: Path) -> None:
    here = part(path)
    if here == "__init__":
        return  # the public names, nothing else
    for there in ours(path):
        if there == here or (here, there) in ALLOWED or there == "__version__":
            continue
        assert HEIGHT[there] < HEIGHT[here], f"{name(path)} imports rtre.{there}"


@pytest.mark.parametrize("path", FILES, ids=name)
def test_foreign_libraries_stay_in_their_layers(path: Path) -> None:
    roots = {module.split(".")[0] for module, only in imports(path) if not only}
    if "numba" in roots or "llvmlite" in roots:
        assert part(path) == "kernels"
    if "trio" in roots:
        assert part(path) in TRIO
    if "trio_websocket" in roots or "wsproto" in roots:
        assert name(path) in SOCKETS
    if roots & {"time", "datetime"}:
        assert part(path) in CLOCKS or not _reads_clock(path), "time is an argument down here"
    assert not roots & {"pickle", "marshal", "shelve", "asyncio"}


def _reads_clock(path: Path) -> bool:
    clocks = {"time", "time_ns", "monotonic", "monotonic_ns", "now", "utcnow", "today"}
    return any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in clocks
        for node in ast.walk(ast.parse(path.read_text()))
    )


def test_the_pipeline_knows_feeds_by_their_interface_only() -> None:
    for path in FILES:
        if part(path) == "pipeline":
            feeds = {m for m, _ in imports(path) if m.startswith("rtre.feeds")}
            assert feeds <= {"rtre.feeds.base"}, name(path)


@pytest.mark.parametrize("path", FILES, ids=name)
def test_files_and_functions_stay_short(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or 0) - node.lineno + 1
            assert lines <= 70, f"{name(path)}: {node.name} has {lines} lines"


def test_every_part_has_a_height() -> None:
    assert {part(path) for path in FILES} - {"__init__"} == set(HEIGHT)


def test_every_exception_is_of_a_file_that_is_there() -> None:
    backtest = {path.stem for path in FILES if path.parent.name == "backtest"}
    assert backtest >= STATISTICS
    assert {name(path) for path in FILES} >= SOCKETS
