"""Views of an arena that cost a kernel nothing.

numba counts references: a slice made in a kernel holds one to the memory of its array, and giving
it away or dropping it is an atomic operation. A hot loop over a dozen views spent more time
counting than computing: a tick of the engine took 5.6 us, and 0.6 us with this module. Kernels no
longer count (`rtre.kernels.jit`), and so cannot return an array that a call has sliced. The arenas
outlive every call that is given them, so their views need no owner: `cut` makes arrays without.

Called from Python, `cut` and the functions marked with `@view` are plain numpy, whose slices keep
their arena alive as usual.

Nor is a view compiled. It is called once, at import, with stand-ins for the arenas, which write
down what it reads and adds up; each call in a kernel becomes these few instructions. (As a function
that is compiled and put in place of each call, `numba.extending.overload`, a view had a library of
its own for each set of options among its callers: 6 of the 78 s of a cold start.)
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

from llvmlite import ir
from numba.core import types
from numba.extending import lower_builtin, type_callable
from numba.np import arrayobj as _arrayobj

from rtre.market import Float64, Int64

# numba has no types of its own for these
arrayobj: Any = _arrayobj
typing: Any = type_callable
lowering: Any = lower_builtin

_F = TypeVar("_F", bound=Callable[..., object])
_A = TypeVar("_A", Float64, Int64)
_SIZE = ir.IntType(64)


def cut(arena: _A, offset: int, shape: tuple[int, ...]) -> _A:
    """Return the part of a 1-D arena that begins at `offset`, as an array of `shape`; no copy.

    In a `view` only. A kernel does not check that it lies within the arena.
    """
    return cast(_A, arena[offset : offset + math.prod(shape)].reshape(shape))


def view(function: _F) -> _F:
    """Let kernels call `function`, and put what it does in place of each call.

    It takes arenas, 1-D, and returns a `cut` of one of them; offset and shape are sums and products
    of constants and of whole numbers that it reads from an arena at constant places.
    """
    names = inspect.signature(function).parameters
    found: Any = function(*(_Arena(k) for k in range(len(names))))

    def typed(*arenas: Any) -> Any:
        return types.Array(arenas[found.arena].dtype, len(found.shape), "C")

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds = zip(signature.args, arguments, strict=True)
        arenas = [context.make_array(kind)(context, builder, value) for kind, value in kinds]
        return _instructions(context, builder, signature.return_type, arenas, found)

    typer: Any = (lambda F: typed(F)) if len(names) == 1 else (lambda F, I: typed(F, I))  # noqa: E741, PLW0108
    typing(function)(lambda context: typer)
    lowering(function, *len(names) * [types.Array])(generate)
    return function


class _Number:
    """Stands for a whole number: what is done with it becomes instructions."""

    def __init__(self, emit: Callable[[Any, list[Any]], Any]) -> None:
        self.emit = emit  #: from the builder and the arenas

    def __add__(self, other: _Number | int) -> _Number:
        return _Number(lambda b, arenas: b.add(self.emit(b, arenas), _emit(other, b, arenas)))

    def __mul__(self, other: _Number | int) -> _Number:
        return _Number(lambda b, arenas: b.mul(self.emit(b, arenas), _emit(other, b, arenas)))

    __radd__, __rmul__ = __add__, __mul__


def _emit(number: _Number | int, builder: Any, arenas: list[Any]) -> Any:
    """Return a number as LLVM's value."""
    return _SIZE(number) if isinstance(number, int) else number.emit(builder, arenas)


class _Arena:
    """Stands for an arena, or for the part of it that begins at `offset`."""

    def __init__(self, arena: int, offset: _Number | int = 0) -> None:
        self.arena, self.offset = arena, offset
        self.shape: tuple[_Number | int, ...] = ()

    def __getitem__(self, place: int | slice) -> Any:
        if isinstance(place, slice):
            return _Arena(self.arena, place.start)
        return _Number(lambda b, arenas: b.load(b.gep(arenas[self.arena].data, [_SIZE(place)])))

    def reshape(self, shape: tuple[_Number | int, ...]) -> _Arena:
        self.shape = shape
        return self


def _instructions(context: Any, builder: Any, result: Any, arenas: list[Any], found: Any) -> Any:
    """Make an array: the address, the sizes, and no owner."""
    item = _SIZE(context.get_abi_sizeof(context.get_data_type(result.dtype)))
    sizes = [_emit(extent, builder, arenas) for extent in found.shape]
    strides = [item]
    for extent in reversed(sizes[1:]):
        strides.insert(0, builder.mul(strides[0], extent))
    made = context.make_array(result)(context, builder)
    start = _emit(found.offset, builder, arenas)
    arrayobj.populate_array(
        made,
        data=builder.gep(arenas[found.arena].data, [start]),
        shape=sizes,
        strides=strides,
        itemsize=item,
        meminfo=None,
    )
    return made._getvalue()
