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

    A headline has ``what``, ``ours``, ``baseline``, ``theirs`` and ``ratio``; a gate has ``gate``.
    """
    if target := os.environ.get("RTRE_BENCH_OUT"):
        with Path(target).open("a") as file:
            file.write(json.dumps(row) + "\n")


def headline(what: str, ours: str, baseline: str, theirs: str, ratio: float) -> None:
    """Record a row of the README's table."""
    record(what=what, ours=ours, baseline=baseline, theirs=theirs, ratio=ratio)
