"""Views of an arena that cost a kernel nothing.

numba counts references: a slice made in a kernel holds one to the memory of its array, and giving
it away or dropping it is an atomic operation. A hot loop over a dozen views spends more time
counting than computing (a tick of the engine took 5.6 us without this module, and 0.6 us with it).
The arenas outlive every call that is given them, so their views need no reference: `cut` makes
arrays that carry none, and numba's optimiser then removes most of the counting. What is left, of
the arenas themselves around calls and branches, is gone in a `rtre.kernels.jit.bare` kernel, and in
what is inlined into it. That may cut views as well: they have no owner, and no array is returned.

Called from Python, `cut` and the functions marked with `@view` are plain numpy, whose slices keep
their arena alive as usual.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

from llvmlite import ir
from numba.core import cgutils as _cgutils
from numba.core import types
from numba.extending import intrinsic, overload
from numba.np import arrayobj as _arrayobj

from rtre.market import Float64, Int64

# numba has no types of its own for these
cgutils: Any = _cgutils
arrayobj: Any = _arrayobj

# what returns an array cannot be compiled without counts; said, or it would be for a `bare` caller
_OPTIONS: Any = {"forceinline": True, "_nrt": True}

_F = TypeVar("_F", bound=Callable[..., object])
_A = TypeVar("_A", Float64, Int64)


def cut(arena: _A, offset: int, shape: tuple[int, ...]) -> _A:
    """Return the part of a 1-D arena that begins at `offset`, as an array of `shape`; no copy.

    A kernel does not check that it lies within the arena.
    """
    return cast(_A, arena[offset : offset + math.prod(shape)].reshape(shape))


def view(function: _F) -> _F:
    """Let kernels call `function`, which cuts a view, and have it put in place of each call."""

    def implementation(*arguments: object) -> _F:
        return function

    overload(function, jit_options=_OPTIONS, strict=False)(implementation)
    return function


def _compiled(context: Any, arena: Any, offset: Any, shape: Any) -> Any:
    """`cut`, compiled: the address, the sizes, and no owner."""
    result = types.Array(arena.dtype, len(shape), "C")

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source = context.make_array(arena)(context, builder, arguments[0])
        size = ir.IntType(64)
        sizes = [
            context.cast(builder, value, kind, types.int64)
            for value, kind in zip(cgutils.unpack_tuple(builder, arguments[2]), shape, strict=True)
        ]
        start = context.cast(builder, arguments[1], offset, types.int64)
        item = context.get_abi_sizeof(context.get_data_type(arena.dtype))
        strides = [ir.Constant(size, item)]
        for extent in reversed(sizes[1:]):
            strides.insert(0, builder.mul(strides[0], extent))
        made = context.make_array(result)(context, builder)
        arrayobj.populate_array(
            made,
            data=builder.gep(source.data, [start]),
            shape=sizes,
            strides=strides,
            itemsize=ir.Constant(size, item),
            meminfo=None,
        )
        return made._getvalue()

    return result(arena, offset, shape), generate


_cut: Any = intrinsic(_compiled)


@overload(cut, jit_options=_OPTIONS)
def _cut_in_a_kernel(arena: Any, offset: Any, shape: Any) -> Callable[..., object]:
    def implementation(arena: Any, offset: Any, shape: Any) -> object:
        return _cut(arena, offset, shape)

    return implementation
