"""The one place that knows how kernels are compiled.

Policy, for every kernel:

* ``nogil``, so that a slow one may run in a worker thread; no ``parallel``, and no ``fastmath``
  on the path of a published number: same inputs, same bits;
* ``error_model="numpy"``: a division by zero gives inf or NaN and does not raise, which also lets
  loops vectorise. Kernels guard their divisions themselves;
* no reference counts: a kernel makes no array and returns none, its arguments stay alive through
  the caller, and their views own nothing. Counting took half of a tick's time, and a seventh of
  a cold start. A kernel that does make an array does not compile. (The option has no documentation;
  without it the kernels are as right, and slower.)
* an on-disk cache in a private folder of the user. Its name carries a digest of all kernel
  sources, of the versions of rtre and numba and of the CPU, because numba's own index looks at the
  caller's file alone and would keep serving a caller with a stale callee inlined into it;
* no self-recursive kernels: with a cache they crash the second process.

Where a cold start of 117 kernels spent 78 s of CPU (one profile each, on a busy machine): 11.5 were
the entries for C, which nobody calls, and those for Python of inlined functions; 10 were LLVM's
work on inlined functions by themselves (`_PartLibrary`); 6 were views (`rtre.kernels.views`); and 6
were numba's message about the shapes of a slice, which ``a[:n] = b[:n]`` compiles into every
caller: write a loop. Calls with literals (`_Kernel`) compiled some kernels two to four times.
"""

from __future__ import annotations

import hashlib
import os
import platform
import stat
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import FunctionType
from typing import Any, TypeVar, cast

import llvmlite.binding as llvm
import numba
from numba.core import types as _types
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.registry import CPUDispatcher

# numba has no types of its own for these
unliteral: Any = _types.unliteral
typeof: Any = numba.typeof

_F = TypeVar("_F", bound=Callable[..., object])


def _cache_key() -> str:
    digest = hashlib.sha256()
    here = Path(__file__).parent
    below = (
        here.parent / name for name in ("market.py", "sheet.py")
    )  # rows of a batch, of a sheet
    for source in (*sorted(here.glob("*.py")), *below):
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

    That no part of it is put into its callers is numba's default, and said all the same: a function
    inherits the options of the caller for which it is first compiled, so a plain kernel that an
    `inlined` one calls first would be inlined too.
    """
    return _compile(function, forceinline=False)


def brief(function: _F) -> _F:
    """`kernel` that keeps the GIL, for the short calls of every batch and report.

    To let go of it and take it back costs some 150 ns, and lets a worker thread that fits a model
    have it in between, for milliseconds.
    """
    return _compile(function, forceinline=False, nogil=False)


def inlined(function: _F) -> _F:
    """`kernel` for a small part of a hot loop, put in place of each call.

    No code of its own is made of it (`_Part`).
    """
    return _compile(function, _Part, forceinline=True, no_cpython_wrapper=True)


class _Kernel(CPUDispatcher):
    """What numba makes of a function, without what no kernel needs."""

    def get_call_template(self, args: Sequence[Any], kws: Any) -> Any:
        """Compile for a call by another kernel; a literal is one of its type.

        Numba compiles ``f(x, 0)`` apart from ``f(x, n)``, and even where ``n = 0`` is the first
        value of a variable, because it infers the type of the call before that of the loop.
        """
        found = {name: unliteral(kind) for name, kind in kws.items()}
        return super().get_call_template(tuple(unliteral(kind) for kind in args), found)


class _PartLibrary(JITCodeLibrary):
    """The code of an `inlined` function: for its callers to link, never run by itself.

    Numba would take it through all of LLVM, to machine code, and then again within each caller.
    """

    def _optimize_final_module(self) -> None:
        """Nothing: the callers do, with all of their parts in place."""

    def _finalize_final_module(self) -> None:
        """Give the engine the variables that all copies of the code share, and no code."""
        shared = (
            v.name for v in self._final_module.global_variables if v.linkage == llvm.Linkage.common
        )
        module = llvm.parse_assembly("\n".join(f'@"{v}" = common global ptr null' for v in shared))
        codegen: Any = self._codegen
        codegen._add_module(module)
        codegen._engine.finalize_object()
        self._finalized = True


class _PartCompiler(Compiler):
    """Numba's compiler, with the library of a part."""

    def compile_extra(self, func: Any) -> Any:
        library: Any = _PartLibrary
        self.state.library = library(self.state.targetctx.codegen(), func.__qualname__)
        return super().compile_extra(func)  # type: ignore[no-untyped-call]


class _Part(_Kernel):
    """A function that is put in place of each call by a kernel.

    Python calls a kernel of the same code, which is compiled when that happens first.
    """

    def __init__(self, function: Any, targetoptions: dict[str, object]) -> None:
        super().__init__(function, targetoptions=targetoptions, pipeline_class=_PartCompiler)
        self._entry: Any = None

    def enable_caching(self) -> None:
        """Keep nothing: what the callers keep has the part in it."""

    @property
    def entry(self) -> Any:
        """The kernel of the same code, under a name of its own: numba's cache knows it by that."""
        if self._entry is None:
            plain = self.py_func
            code = plain.__code__.replace(co_name=f"{plain.__name__}__entry")
            twin = FunctionType(code, plain.__globals__, code.co_name, plain.__defaults__)
            twin.__qualname__, twin.__module__ = code.co_name, plain.__module__
            self._entry = kernel(twin)
        return self._entry

    @property
    def signatures(self) -> list[Any]:
        """Types that it is compiled for, within kernels or for Python."""
        own = list(super().signatures)
        return own if self._entry is None else [*own, *self._entry.signatures]

    def __call__(self, *args: object) -> object:
        return self.entry(*args)


def _compile(function: _F, of: type[_Kernel] = _Kernel, **more: object) -> _F:
    if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]  # set at run time
        return function
    options: dict[str, object] = {
        "nopython": True,
        "boundscheck": None,
        "nogil": True,
        "error_model": "numpy",
        "no_cfunc_wrapper": True,  # an entry for C, which nobody calls
        "_nrt": False,  # no reference counts, and so no new arrays
        **more,
    }
    made = of(function, targetoptions=options)
    if CACHE_DIR is not None:
        made.enable_caching()
    return cast(_F, made)


def direct(function: _F, *examples: object) -> _F:
    """Compile `function` for arguments like `examples`, and return its entry for these alone.

    It leaves out the look at the types of the arguments that a kernel takes at each call, 150 to
    300 ns. So the caller sees to them: an array of another type, number of dimensions or layout is
    misread, and may crash the process. For arrays of the caller's own, and checked ones, only.
    Numba does not promise this entry; where there is none the kernel itself is returned.
    """
    if not is_compiled(function):
        return function
    made: Any = function.entry if isinstance(function, _Part) else function
    kinds = tuple(typeof(example) for example in examples)
    made.compile(kinds)
    entry = getattr(made.overloads[kinds], "entry_point", None)
    return function if entry is None else cast(_F, entry)


def is_compiled(function: Callable[..., object]) -> bool:
    """Whether `function` is a kernel that numba compiles (False under NUMBA_DISABLE_JIT=1)."""
    return isinstance(function, CPUDispatcher)
