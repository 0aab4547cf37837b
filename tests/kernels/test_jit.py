"""The policy of compilation: where the cache lies, when it is not used, and what a kernel is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

from rtre.kernels import arenas, jit, layout, sorted_window, ticks
from rtre.market import Float64

JIT = os.environ.get("NUMBA_DISABLE_JIT", "0") != "1"

_SHOW = """
import numpy as np
from rtre.kernels import jit, sorted_window
values = np.array([1.0, 3.0, 0.0])
sorted_window.insert(values, 2, 2.0)
print(jit.CACHE_DIR)
print(jit.CACHE_PROBLEM)
print(values.tolist())
"""


@jit.kernel
def add_to(A: Float64, x: float) -> None:
    A[0] += x


def run(folder: Path, **environment: str) -> list[str]:
    """Use a kernel in a fresh process whose cache is in `folder`."""
    root = Path(jit.__file__).parents[2]
    env = os.environ | {"RTRE_CACHE_DIR": str(folder), "PYTHONPATH": str(root)} | environment
    done = subprocess.run(
        [sys.executable, "-c", _SHOW], env=env, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


@pytest.mark.skipif(not JIT, reason="numba is switched off")
def test_compiled_code_is_kept_in_a_private_folder() -> None:
    assert jit.is_compiled(ticks.apply_ticks)
    assert not jit.is_compiled(layout.prices), "to Python a view is a plain slice"
    assert not jit.is_compiled(arenas.new_state)


@pytest.mark.skipif(not JIT, reason="numba is switched off")
def test_the_second_process_finds_what_the_first_compiled(tmp_path: Path) -> None:
    cache, problem, values = run(tmp_path)
    assert problem == ""
    assert values == "[1.0, 2.0, 3.0]"
    folder = Path(cache)
    assert folder.is_relative_to(tmp_path)
    assert folder.stat().st_mode & 0o077 == 0, "nobody else may read or write it"
    files = {f: f.stat().st_mtime_ns for f in folder.rglob("*.nb?")}
    assert files
    assert run(tmp_path) == [cache, problem, values]
    assert {f: f.stat().st_mtime_ns for f in folder.rglob("*.nb?")} == files


def test_a_folder_that_others_can_write_is_not_used(tmp_path: Path) -> None:
    first = Path(run(tmp_path)[0])
    first.chmod(0o777)
    cache, problem, values = run(tmp_path)
    assert cache == "None"
    assert "other users" in problem
    assert values == "[1.0, 2.0, 3.0]"


def test_without_a_place_for_the_cache_kernels_are_compiled_in_memory(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    cache, problem, values = run(blocked)
    assert cache == "None"
    assert "cannot create" in problem
    assert values == "[1.0, 2.0, 3.0]"


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere"
)
def test_in_a_folder_that_cannot_be_written_kernels_are_compiled_in_memory(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        cache, problem, values = run(tmp_path)
    finally:
        tmp_path.chmod(0o700)
    assert cache == "None"
    assert f"cannot create {tmp_path}" in problem
    assert values == "[1.0, 2.0, 3.0]"


def test_one_function_of_the_window_is_one_type_whatever_the_sizes() -> None:
    # a column of one row counts as contiguous: cut outside of a kernel it would compile another
    before = None
    for n_assets in (1, 2, 3):
        floats, ints = arenas.new_state(
            n_assets=n_assets, window=2, interval_ns=1, lead_ns=0, jump=0.1, confirm=1,
            holdings=[(0, 0, 1.0)], n_books=1,
        )  # fmt: skip
        assert ticks.apply_ticks(floats, ints, np.empty((5, 0), np.int64), 0, 0) == 0
        if JIT:
            signatures = list(ticks.apply_ticks.signatures)
            assert before in (None, signatures)
            before = signatures


def test_a_kernel_is_the_plain_function_to_whoever_reads_it() -> None:
    plain = getattr(sorted_window.lower_bound, "py_func", sorted_window.lower_bound)
    assert plain(np.array([1.0, 2.0]), 2, 1.5) == 1


def test_the_direct_entry_of_a_kernel_does_what_the_kernel_does() -> None:
    state, values = np.zeros(4), np.arange(3.0)
    entry = jit.direct(add_to, state, 1.0)
    for x in values.tolist():
        entry(state, x)
    assert state[0] == 3.0
    if jit.is_compiled(add_to):
        assert not jit.is_compiled(entry)
        with pytest.raises(TypeError):
            entry([1.0], 2.0)


@jit.inlined
def plus(x: float, n: int) -> float:
    return x + n


@jit.kernel
def add_twice(A: Float64, n: int) -> None:
    k = 0
    while k < n:
        A[0] = plus(plus(A[0], 1), k)
        k += 1


def test_an_inlined_part_serves_kernels_and_python_alike() -> None:
    state = np.zeros(1)
    add_twice(state, 3)
    assert state[0] == 6.0
    assert plus(1.5, 2) == 3.5
    assert jit.direct(plus, 1.0, 1)(1.5, 2) == 3.5, "not the part itself, which has no entry"


@pytest.mark.skipif(not JIT, reason="numba is switched off")
def test_a_literal_argument_is_no_signature_of_its_own() -> None:
    # anew, since what comes from the cache has its parts in it
    numba.njit(add_twice.py_func)(np.zeros(1), 3)  # type: ignore[attr-defined]
    within = [kinds for kinds in plus.overloads if kinds]  # type: ignore[attr-defined]
    assert len(within) == 1
