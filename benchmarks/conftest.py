"""Sets what makes a comparison fair; prints the table of all gates at the end of a run.

One thread for everybody, and numpy without its AVX-512 code where the processor has that: on some
it sorts and selects several times more slowly than numpy's AVX2 code, and ours would look better
than it is. What the caller has set stays.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

SETTINGS = {"OPENBLAS_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1"}
CPU = Path("/proc/cpuinfo")
if CPU.exists() and "avx512" in CPU.read_text():
    SETTINGS["NPY_DISABLE_CPU_FEATURES"] = "X86_V4 AVX512_ICL"
assert "numpy" not in sys.modules, "numpy reads its settings when it is imported: too late"
os.environ.update({name: value for name, value in SETTINGS.items() if name not in os.environ})

from gates import GATES  # noqa: E402
from tables import table  # noqa: E402


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not GATES:
        return
    lines: list[tuple[object, ...]] = []
    for g in sorted(GATES, key=lambda g: (g.number, g.what, g.tail or 0, g.window or 0)):
        number = f"{g.number} {g.what}"
        ours, theirs = (_figure(x, g.unit) for x in (g.ours_ns, g.theirs_ns))
        ratio = "" if g.ratio is None else f"{g.ratio:.3g}"
        limit = "" if g.limit is None else f"<= {g.limit:g}"
        lines.append(
            (number, g.peer, str(g.window or ""), str(g.tail or ""), ours, theirs, ratio, limit,
             g.verdict)
        )  # fmt: skip
    head = ("gate", "peer", "W", "p", "ours", "theirs", "ratio", "goal", "verdict")
    setting = f"NPY_DISABLE_CPU_FEATURES={os.environ.get('NPY_DISABLE_CPU_FEATURES', '')!r}"
    terminalreporter.write_line(table(f"gates; {setting}", head, lines))


def _figure(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    if unit == "rebuilds":
        return f"{value:.3g}"
    return f"{value:.2g}" if unit == "relative" else f"{value:,.1f} {unit}"
