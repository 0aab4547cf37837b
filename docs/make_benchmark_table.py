"""Run the benchmarks once; write the README's tables, docs/gates.md and docs/kernels.svg from it.

    python docs/make_benchmark_table.py

Needs the ``bench`` extra. Every figure comes from this one run; with the name of a file of recorded
rows (``RTRE_BENCH_OUT``) as argument, from that one.
"""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
import sys
import tempfile
from itertools import groupby
from pathlib import Path
from typing import Any

import make_kernel_picture

ROOT = Path(__file__).resolve().parents[1]
HEADLINES, GATES, END = "<!-- benchmarks -->", "<!-- gates -->", "<!-- end -->"

Row = dict[str, Any]


def measure() -> list[str]:
    """Run the suite; return the lines that its tests recorded."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "rows.jsonl"
        command = [sys.executable, "-m", "pytest", "-q", "-s", "benchmarks"]
        subprocess.run(
            command, cwd=ROOT, env=os.environ | {"RTRE_BENCH_OUT": str(out)}, check=False
        )
        return out.read_text().splitlines()


def machine() -> str:
    """Say where the figures come from."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    return (
        f"Python {platform.python_version()}, {os.cpu_count()} shared cores, "
        f"commit {commit.strip() or 'unknown'}. Made by `docs/make_benchmark_table.py`."
    )


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Format a Markdown table."""
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def headlines(rows: list[Row]) -> str:
    """Format the headline rows: ours against a baseline."""
    found = []
    for row in rows:
        ratio, goal = row["ratio"], row["goal"]
        said = "" if math.isnan(ratio) else f"{ratio:.3g}x"
        verdict = ""
        if goal is not None:
            verdict = f">= {goal:.3g}: {'met' if ratio >= goal else 'NOT MET'}"
        found.append((row["what"], row["ours"], row["baseline"], row["theirs"], said, verdict))
    head = ("what", "rtre", "baseline, same run", "", "times better", "goal")
    return f"{table(head, found)}\n\n{machine()}"


def where(gate: Row) -> str:
    """Window and tail of a gate, where it has them."""
    window = f"W={gate['window']:,}" if gate["window"] else ""
    tail = f"p={gate['tail']:g}" if gate["tail"] else ""
    return " ".join(part for part in (window, tail) if part)


def figure(value: float | None) -> str:
    """Three digits."""
    return "-" if value is None else f"{value:.3g}"


def summary(gates: list[Row]) -> str:
    """Format a line for each gate and peer: its worst case, and how often it is met."""
    held = [g for g in gates if g["limit"] is not None or g["verdict"] == "peer missing"]
    rows = []
    for (number, peer, _), group in groupby(
        held, key=lambda g: (g["number"], g["peer"], g["limit"])
    ):
        cases = list(group)
        if cases[0]["verdict"] == "peer missing":
            rows.append((str(number), cases[0]["what"], peer, "peer missing", "", ""))
            continue
        worst = max(cases, key=lambda g: g["ratio"] / max(g["limit"], 1e-300))
        met = sum(g["verdict"] == "met" for g in cases)
        rows.append(
            (str(number), worst["what"], peer, f"{figure(worst['ratio'])} {where(worst)}",
             f"<= {worst['limit']:.3g}", f"{met} of {len(cases)}")
        )  # fmt: skip
    head = ("", "goal: ours / theirs", "peer", "worst", "goal", "met")
    text = "Every case is in [docs/gates.md](docs/gates.md)."
    return f"{table(head, rows)}\n\n{text}"


def every(gates: list[Row]) -> str:
    """Format all cases, losses and missing peers included."""
    rows = [
        (str(g["number"]), g["what"], where(g), g["peer"], figure(g["ours_ns"]),
         figure(g["theirs_ns"]), g["unit"], figure(g["ratio"]),
         "" if g["limit"] is None else f"<= {g['limit']:.3g}", g["verdict"])
        for g in gates
    ]  # fmt: skip
    head = ("", "what", "where", "peer", "ours", "theirs", "unit", "ratio", "goal", "verdict")
    return (
        "# Goals of the kernels\n\n"
        "Each is a ratio of our figure to a peer's, both measured in one run, in turns. Lower is\n"
        "better. *shown* has no goal; *peer missing* could not be installed.\n\n"
        f"{table(head, rows)}\n\n{machine()}\n"
    )


def sizes(rows: list[Row]) -> str:
    """Format what an asset and a book take, and what the memory of the machine gives."""
    kept = [
        (row["memory"], f"{row['window']:,}", f"{row['stated'] / 1024:.1f}",
         f"{row['measured'] / 1024:.1f}")
        for row in rows if "memory" in row
    ]  # fmt: skip
    limit = [
        (f"{row['bandwidth'] >> 10:,}", f"{row['rate']:.1f}") for row in rows if "bandwidth" in row
    ]
    return (
        "\n## Memory\n\n"
        "Of lines whose every tick is evaluated, KiB: as the arenas are laid out "
        "(`rtre/kernels/layout.py`), and by\nwhich the process has grown.\n\n"
        f"{table(('one more', 'W', 'stated', 'measured'), kept)}\n\n"
        "## The physical limit\n\n"
        "`y += a x` on one core: what any method that touches every scenario is bound by.\n\n"
        f"{table(('both arrays, KiB', 'GB/s'), limit)}\n"
    )


def put(text: str, mark: str, body: str) -> str:
    """Replace what stands between `mark` and the next end mark."""
    before, _, rest = text.partition(mark)
    _, _, after = rest.partition(END)
    return f"{before}{mark}\n{body}\n{END}{after}"


def main() -> None:
    lines = Path(sys.argv[1]).read_text().splitlines() if len(sys.argv) > 1 else measure()
    rows = [json.loads(line) for line in lines]
    gates = sorted(
        (row["gate"] for row in rows if "gate" in row),
        key=lambda g: (
            g["number"],
            g["peer"],
            g["limit"] or 0,
            g["what"],
            g["tail"] or 0,
            g["window"] or 0,
        ),
    )
    readme = ROOT / "README.md"
    text = put(readme.read_text(), HEADLINES, headlines([row for row in rows if "what" in row]))
    readme.write_text(put(text, GATES, summary(gates)))
    (ROOT / "docs" / "gates.md").write_text(every(gates) + sizes(rows))
    make_kernel_picture.draw(lines)


if __name__ == "__main__":
    main()
