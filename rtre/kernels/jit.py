"""The one place that knows how kernels are compiled.

Policy, for every kernel:

* ``nogil``, so that a slow one may run in a worker thread; no ``parallel``, and no ``fastmath``
  on the path of a published number: same inputs, same bits;
* ``error_model="numpy"``: a division by zero gives inf or NaN and does not raise, which also lets
  loops vectorise. Kernels guard their divisions themselves;
* an on-disk cache in a private folder of the user. Its name carries a digest of all kernel
  sources, of the versions of rtre and numba and of the CPU, because numba's own index looks at the
  caller's file alone and would keep serving a caller with a stale callee inlined into it;
* no self-recursive kernels: with a cache they crash the second process.
"""

from __future__ import annotations

import hashlib
import os
import platform
import stat
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TypeVar, cast

import llvmlite.binding as llvm
import numba
from numba.core.registry import CPUDispatcher

_F = TypeVar("_F", bound=Callable[..., object])


def _cache_key() -> str:
    digest = hashlib.sha256()
    here = Path(__file__).parent
    for source in (*sorted(here.glob("*.py")), here.parent / "market.py"):  # the rows of a batch
        digest.update(source.read_bytes())
    try:
        ours = version("rtre")
    except PackageNotFoundError:  # run from a source tree that is not installed
        ours = "source"
    for part in (ours, numba.__version__, platform.python_version(), llvm.get_host_cpu_name()):
        digest.update(part.encode())
    for setting in ("BOUNDSCHECK", "OPT", "CPU_NAME", "CPU_FEATURES"):  # numba's index has none
        digest.update(f"{setting}={getattr(numba.config, setting, None)};".encode())
    return digest.hexdigest()[:16]


def _open_cache() -> tuple[Path | None, str]:
    """Make the private cache folder. Returns it, or None and the reason in words."""
    root = os.environ.get("RTRE_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME")
    folder = (Path(root) if root else Path.home() / ".cache") / "rtre" / f"kernels-{_cache_key()}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
    except (OSError, RuntimeError) as error:
        return None, f"cannot create {folder}: {error}"
    if hasattr(os, "getuid") and found.st_uid != os.getuid():
        return None, f"{folder} belongs to another user"
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return None, f"{folder} can be written by other users"
    if not os.access(folder, os.W_OK | os.X_OK):
        return None, f"{folder} cannot be written"
    return folder, ""


CACHE_DIR, CACHE_PROBLEM = _open_cache()
if CACHE_DIR is not None:
    numba.config.CACHE_DIR = str(CACHE_DIR)  # type: ignore[attr-defined]  # set at run time


def kernel(function: _F) -> _F:
    """Compile `function` with numba under the policy above; the type stays the plain one's.

    Both options are numba's defaults, and said all the same: a function inherits the options of the
    caller for which it is first compiled, so a plain kernel that an `inlined` one calls first would
    be inlined too.
    """
    return _compile(function, forceinline=False, _nrt=True)


def brief(function: _F) -> _F:
    """`kernel` that keeps the GIL, for the short calls of every batch and report.

    To let go of it and take it back costs some 150 ns, and lets a worker thread that fits a model
    have it in between, for milliseconds.
    """
    return _compile(function, forceinline=False, _nrt=True, nogil=False)


def inlined(function: _F) -> _F:
    """`kernel` for a small part of a hot loop, put in place of each call.

    Without it a call that makes or takes array views pays for their reference counts: half of the
    time of a tick.
    """
    return _compile(function, forceinline=True)


def bare(function: _F) -> _F:
    """`kernel`, without reference counts: for kernels that make no array, no view and no list.

    Arguments stay alive through the caller. The option has no documentation; without it the kernel
    is as right, and slower.
    """
    return _compile(function, forceinline=False, _nrt=False)


def _compile(function: _F, **more: object) -> _F:
    options: dict[str, object] = {"nogil": True, "error_model": "numpy", **more}
    if CACHE_DIR is not None:
        options["cache"] = True
    return cast(_F, numba.njit(function, **options))  # type: ignore[call-overload]


def direct(function: _F, *examples: object) -> _F:
    """Compile `function` for arguments like `examples`, and return its entry for these alone.

    It leaves out the look at the types of the arguments that a kernel takes at each call, 150 to
    300 ns. So the caller sees to them: an array of another type, number of dimensions or layout is
    misread, and may crash the process. For arrays of the caller's own, and checked ones, only.
    Numba does not promise this entry; where there is none the kernel itself is returned.
    """
    if not is_compiled(function):
        return function
    types = tuple(numba.typeof(example) for example in examples)  # type: ignore[no-untyped-call]
    function.compile(types)  # type: ignore[attr-defined]
    entry = getattr(function.overloads[types], "entry_point", None)  # type: ignore[attr-defined]
    return function if entry is None else cast(_F, entry)


def is_compiled(function: Callable[..., object]) -> bool:
    """Whether `function` is a kernel that numba compiles (False under NUMBA_DISABLE_JIT=1)."""
    return isinstance(function, CPUDispatcher)
