"""Run the benchmarks and put their headline rows into the README.

    python docs/make_benchmark_table.py

Needs the ``bench`` extra. Every row of the table comes from this one run.
"""

import json
import math
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MARK = "<!-- benchmarks -->"
END = "<!-- end -->"


def measure() -> list[dict]:
    """Run the suite; return the rows that its tests recorded."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "rows.jsonl"
        command = [sys.executable, "-m", "pytest", "-q", "-s", "benchmarks"]
        subprocess.run(command, cwd=ROOT, env=os.environ | {"RTRE_BENCH_OUT": str(out)}, check=True)
        rows = [json.loads(line) for line in out.read_text().splitlines()]
        return [row for row in rows if "what" in row]


def rendered(rows: list[dict]) -> str:
    """Format the rows as a Markdown table."""
    lines = ["| what | rtre | baseline, same run | | ratio |", "| --- | --- | --- | --- | --- |"]
    for row in rows:
        ratio = "" if math.isnan(row["ratio"]) else f"{row['ratio']:.1f}x"
        cells = (row["what"], row["ours"], row["baseline"], row["theirs"], ratio)
        lines.append("| " + " | ".join(cells) + " |")
    numpy_setting = os.environ.get("NPY_DISABLE_CPU_FEATURES", "not set")
    lines.append("")
    lines.append(
        f"Python {platform.python_version()}, {os.cpu_count()} shared cores, "
        f"`NPY_DISABLE_CPU_FEATURES` {numpy_setting}. Made by `docs/make_benchmark_table.py`."
    )
    return "\n".join(lines)


def main() -> None:
    readme = ROOT / "README.md"
    text = readme.read_text()
    before, _, rest = text.partition(MARK)
    _, found, after = rest.partition(END)
    table = rendered(measure())
    readme.write_text(f"{before}{MARK}\n{table}\n{END}{after if found else rest}")


if __name__ == "__main__":
    main()
