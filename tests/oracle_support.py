"""Reading of oracle cases and of the data they are about; the registry of checks."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtre.models.base import Tail

DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"
FOLDER = DATA / "oracles"

Oracle = dict[str, Any]
CASES: dict[str, Callable[[Oracle], None]] = {}


def case(*names: str) -> Callable[[Callable[[Oracle], None]], Callable[[Oracle], None]]:
    def register(check: Callable[[Oracle], None]) -> Callable[[Oracle], None]:
        CASES.update(dict.fromkeys(names, check))
        return check

    return register


def column(file: str, name: str) -> np.ndarray:
    path = DATA / file
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        return np.array([float(row[name]) for row in csv.DictReader(lines)])


def close(got: float, want: float, tolerance: Oracle, kind: str = "") -> None:
    """Compare within the tolerance that the case states, absolute or relative."""
    absolute = tolerance.get(f"{kind}_abs", 0.0 if kind else tolerance.get("abs", 0.0))
    relative = tolerance.get(f"{kind}_rel", 0.0 if kind else tolerance.get("rel", 0.0))
    assert absolute or relative, "the case states no tolerance"
    assert got == pytest.approx(want, abs=absolute, rel=relative)


def pair(tail: Tail, var: float, es: float, tolerance: Oracle) -> None:
    assert not tail.problem
    close(tail.var, var, tolerance)
    close(tail.es, es, tolerance)
