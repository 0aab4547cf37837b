"""Plain text tables, and the rows that go into the README's."""

from __future__ import annotations

import json
import os
from pathlib import Path


def table(title: str, head: tuple[str, ...], lines: list[tuple[object, ...]]) -> str:
    """Format a table; the first column to the left, the others to the right."""
    cells = [head, *[tuple(c if isinstance(c, str) else f"{c:,.2f}" for c in x) for x in lines]]
    widths = [max(len(str(row[i])) for row in cells) for i in range(len(head))]
    text = [
        f"{row[0]!s:<{widths[0]}}  "
        + "  ".join(f"{c!s:>{w}}" for c, w in zip(row[1:], widths[1:], strict=True))
        for row in cells
    ]
    rule = "-" * len(text[0])
    return "\n".join(["", title, rule, text[0], rule, *text[1:], rule])


def record(**row: object) -> None:
    """Add a row to the file that `RTRE_BENCH_OUT` names, for `docs/make_benchmark_table.py`.

    A headline has ``what``, ``ours``, ``baseline``, ``theirs``, ``ratio`` and ``goal``; a gate has
    ``gate``.
    """
    if target := os.environ.get("RTRE_BENCH_OUT"):
        with Path(target).open("a") as file:
            file.write(json.dumps(row) + "\n")


def headline(
    what: str, ours: str, baseline: str, theirs: str, ratio: float, goal: float | None = None
) -> None:
    """Record a row of the README's table.

    `ratio` says how many times better ours is than the baseline, so below 1 it is worse; NaN where
    nothing is compared. It is to be at least `goal`, where there is one.
    """
    record(what=what, ours=ours, baseline=baseline, theirs=theirs, ratio=ratio, goal=goal)
    if goal is not None:
        verdict = "met" if ratio >= goal else "NOT MET"
        print(f"{what}: {ratio:.3g} times {baseline}; goal {goal:.3g}: {verdict}")
