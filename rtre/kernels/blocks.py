"""Move and add up blocks of an array, at the speed of the hardware.

A loop ``v[i + 1] = v[i]`` over a long block costs several times a memmove, because an index that
might be negative keeps LLVM from recognising it; a slice assignment makes views, whose references
are counted. And a sum must not be reordered by the compiler on the path of a published number, so
that it runs at one addition per latency; here the order is fixed, in `LANES` partial sums, the same
on every machine.
"""

from __future__ import annotations

from typing import Any, cast

import numba
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from rtre.kernels.jit import inlined
from rtre.market import Float64

WIDTH = 8  #: numbers in a vector of the intermediate code; any machine can split or join them
COUNTED = 8 * WIDTH  #: so many numbers are counted rather than halved
LANES = 2 * WIDTH  #: partial sums: two vectors, so that the latency of an addition is half hidden


def _move(values: Float64, to: int, start: int, count: int) -> None:
    values[to : to + count] = values[start : start + count].copy()


def _add_up(values: Float64, start: int, rows: int) -> float:
    lanes = [0.0] * LANES
    for row in range(rows):
        for lane in range(LANES):
            lanes[lane] += float(values[start + row * LANES + lane])
    while len(lanes) > 1:
        half = len(lanes) // 2
        lanes = [lanes[j] + lanes[j + half] for j in range(half)]
    return lanes[0]


def _count(values: Float64, start: int, count: int, x: float) -> int:
    return sum(bool(v < x) for v in values[start : start + count])


def _pointer(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    return context.make_array(signature.args[0])(context, builder, arguments[0]).data


def _move_typed(typing: Any, values: Any, to: Any, start: Any, count: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = _pointer(context, builder, signature, arguments)
        target = builder.gep(data, [arguments[1]])
        source = builder.gep(data, [arguments[2]])
        cgutils.raw_memmove(builder, target, source, arguments[3], 8)  # type: ignore[no-untyped-call]
        return context.get_dummy_value()

    return types.void(values, types.int64, types.int64, types.int64), generate


def _add_up_typed(typing: Any, values: Any, start: Any, rows: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = ir.VectorType(ir.DoubleType(), WIDTH)
        number = arguments[2].type
        data = builder.gep(_pointer(context, builder, signature, arguments), [arguments[1]])
        zero = ir.Constant(vector, [0.0] * WIDTH)
        new = cgutils.alloca_once_value
        sums = [new(builder, zero) for _ in range(2)]  # type: ignore[no-untyped-call]
        with cgutils.for_range(builder, arguments[2]) as loop:
            for half, total in enumerate(sums):
                at = builder.add(
                    builder.mul(loop.index, ir.Constant(number, LANES)),
                    ir.Constant(number, half * WIDTH),
                )
                place = builder.bitcast(builder.gep(data, [at]), vector.as_pointer())
                block = builder.load(place, align=8)
                builder.store(builder.fadd(builder.load(total), block), total)
        rest = builder.fadd(builder.load(sums[0]), builder.load(sums[1]))
        lanes = [builder.extract_element(rest, ir.Constant(number, j)) for j in range(WIDTH)]
        while len(lanes) > 1:
            half = len(lanes) // 2
            lanes = [builder.fadd(lanes[j], lanes[j + half]) for j in range(half)]
        return lanes[0]

    return types.float64(values, types.int64, types.int64), generate


def _count_typed(typing: Any, values: Any, start: Any, count: Any, x: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector, mask = ir.VectorType(ir.DoubleType(), WIDTH), ir.IntType(WIDTH)
        number = arguments[2].type
        data = builder.gep(_pointer(context, builder, signature, arguments), [arguments[1]])
        bound = ir.Constant(vector, ir.Undefined)
        for j in range(WIDTH):
            bound = builder.insert_element(bound, arguments[3], ir.Constant(ir.IntType(32), j))
        new = cgutils.alloca_once_value
        found = new(builder, ir.Constant(number, 0))  # type: ignore[no-untyped-call]
        blocks = builder.lshr(builder.add(arguments[2], ir.Constant(number, WIDTH - 1)),
                              ir.Constant(number, 3))  # fmt: skip
        with cgutils.for_range(builder, blocks) as loop:
            first = builder.mul(loop.index, ir.Constant(number, WIDTH))
            place = builder.bitcast(builder.gep(data, [first]), vector.as_pointer())
            below = builder.fcmp_ordered("<", builder.load(place, align=8), bound)
            rest = builder.sub(arguments[2], first)
            most = ir.Constant(number, WIDTH)
            rest = builder.select(builder.icmp_signed("<", rest, most), rest, most)
            valid = builder.sub(
                builder.shl(ir.Constant(number, 1), rest), ir.Constant(number, 1)
            )
            bits = builder.and_(builder.bitcast(below, mask), builder.trunc(valid, mask))
            ones = builder.zext(builder.ctpop(bits), number)
            builder.store(builder.add(builder.load(found), ones), found)
        return builder.load(found)

    return types.int64(values, types.int64, types.int64, types.float64), generate


move, _rows, _below = _move, _add_up, _count
if not numba.config.DISABLE_JIT:  # type: ignore[attr-defined]  # set at run time
    move = cast(Any, intrinsic(_move_typed))
    _rows = cast(Any, intrinsic(_add_up_typed))
    _below = cast(Any, intrinsic(_count_typed))
# `move(values, to, start, count)` copies ``values[start:start + count]`` to ``values[to:...]``; the
# two may overlap. Nothing is checked.


@inlined
def total(values: Float64, start: int, count: int) -> float:
    """Sum of ``values[start : start + count]``, in a fixed order; error below count eps sum |x|.

    Lanes from `LANES` numbers on; a plain loop below and for the rest.
    """
    rows = count // LANES
    found = _rows(values, start, rows) if rows > 0 else 0.0
    for i in range(start + rows * LANES, start + count):
        found += values[i]
    return found


@inlined
def first_not_below(values: Float64, start: int, count: int, x: float) -> int:
    """Index of the first of ``values[start : start + count]``, ascending, that is not below `x`.

    ``start + count`` if there is none. Without a branch to mispredict.
    """
    at = start
    while count > 0:
        half = (count + 1) >> 1
        at += half * int(values[at + half - 1] < x)
        count -= half
    return at


@inlined
def place_of(values: Float64, start: int, count: int, x: float) -> int:
    """`first_not_below`, faster, where `WIDTH` numbers beyond the block may be read (not used).

    Halves down to a few vectors, of which each tells at once how many of its numbers are below.
    """
    at = start
    while count > COUNTED:
        half = (count + 1) >> 1
        at += half * int(values[at + half - 1] < x)
        count -= half
    return int(at + _below(values, at, count, x))
