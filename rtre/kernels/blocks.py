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
COUNTED = 16 * WIDTH  #: so many numbers are counted rather than halved
LANES = 2 * WIDTH  #: partial sums: two vectors, so that the latency of an addition is half hidden


def _move(values: Float64, to: int, start: int, count: int) -> None:
    values[to : to + count] = values[start : start + count].copy()


def _add_up(values: Float64, start: int, count: int) -> float:
    lanes = [0.0] * LANES
    whole = count // LANES * LANES
    for j in range(whole):
        lanes[j % LANES] += float(values[start + j])
    if count - whole >= WIDTH:
        for j in range(WIDTH):
            lanes[j] += float(values[start + whole + j])
    for j in range(count % WIDTH):
        lanes[LANES - count % WIDTH + j] += float(values[start + count - count % WIDTH + j])
    while len(lanes) > 1:
        half = len(lanes) // 2
        lanes = [lanes[j] + lanes[j + half] for j in range(half)]
    return lanes[0]


def _count(values: Float64, start: int, count: int, x: float) -> int:
    return sum(bool(v < x) for v in values[start : start + count])


def _skip(values: Float64, start: int, half: int, x: float) -> int:
    return half * int(values[start + half - 1] < x)


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


def _load(builder: Any, data: Any, at: Any) -> Any:
    """Read `WIDTH` numbers from the place `at` on."""
    vector = ir.VectorType(ir.DoubleType(), WIDTH)
    return builder.load(builder.bitcast(builder.gep(data, [at]), vector.as_pointer()), align=8)


def _last(builder: Any, count: Any) -> Any:
    """Bits of the lanes of the last `WIDTH` numbers that no whole vector before has."""
    number = count.type
    rest = builder.and_(count, ir.Constant(number, WIDTH - 1))
    short = builder.sub(ir.Constant(number, WIDTH), rest)
    return builder.trunc(builder.shl(ir.Constant(number, -1), short), ir.IntType(WIDTH))


def _add_up_typed(typing: Any, values: Any, start: Any, count: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector, lanes = ir.VectorType(ir.DoubleType(), WIDTH), ir.VectorType(ir.IntType(1), WIDTH)
        count, number = arguments[2], arguments[2].type
        data = builder.gep(_pointer(context, builder, signature, arguments), [arguments[1]])
        zero = ir.Constant(vector, [0.0] * WIDTH)
        new = cgutils.alloca_once_value
        sums = [new(builder, zero) for _ in range(2)]  # type: ignore[no-untyped-call]
        rows = builder.lshr(count, ir.Constant(number, LANES.bit_length() - 1))
        with cgutils.for_range(builder, rows) as loop:
            first = builder.mul(loop.index, ir.Constant(number, LANES))
            for half, total in enumerate(sums):
                block = _load(builder, data, builder.add(first, ir.Constant(number, half * WIDTH)))
                builder.store(builder.fadd(builder.load(total), block), total)
        more = builder.icmp_unsigned(
            "!=", builder.and_(count, ir.Constant(number, WIDTH)), ir.Constant(number, 0)
        )
        first = builder.mul(rows, ir.Constant(number, LANES))
        first = builder.select(more, first, ir.Constant(number, 0))
        block = builder.select(more, _load(builder, data, first), zero)
        low = builder.fadd(builder.load(sums[0]), block)
        block = _load(builder, data, builder.sub(count, ir.Constant(number, WIDTH)))
        block = builder.select(builder.bitcast(_last(builder, count), lanes), block, zero)
        rest = builder.fadd(low, builder.fadd(builder.load(sums[1]), block))
        parts = [builder.extract_element(rest, ir.Constant(number, j)) for j in range(WIDTH)]
        while len(parts) > 1:
            half = len(parts) // 2
            parts = [builder.fadd(parts[j], parts[j + half]) for j in range(half)]
        return parts[0]

    return types.float64(values, types.int64, types.int64), generate


def _count_typed(typing: Any, values: Any, start: Any, count: Any, x: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector, mask = ir.VectorType(ir.DoubleType(), WIDTH), ir.IntType(WIDTH)
        count, number = arguments[2], arguments[2].type
        data = builder.gep(_pointer(context, builder, signature, arguments), [arguments[1]])
        bound = ir.Constant(vector, ir.Undefined)
        for j in range(WIDTH):
            bound = builder.insert_element(bound, arguments[3], ir.Constant(number, j))

        def below(at: Any) -> Any:
            block = builder.fcmp_ordered("<", _load(builder, data, at), bound)
            return builder.bitcast(block, mask)

        def ones(bits: Any) -> Any:
            return builder.zext(builder.ctpop(bits), number)

        last = below(builder.sub(count, ir.Constant(number, WIDTH)))
        last = ones(builder.and_(last, _last(builder, count)))
        found = cgutils.alloca_once_value(builder, last)  # type: ignore[no-untyped-call]
        blocks = builder.lshr(count, ir.Constant(number, WIDTH.bit_length() - 1))
        with cgutils.for_range(builder, blocks) as loop:
            more = ones(below(builder.mul(loop.index, ir.Constant(number, WIDTH))))
            builder.store(builder.add(builder.load(found), more), found)
        return builder.load(found)

    return types.int64(values, types.int64, types.int64, types.float64), generate


def _skip_typed(typing: Any, values: Any, start: Any, half: Any, x: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = _pointer(context, builder, signature, arguments)
        number = arguments[2].type
        last = builder.add(arguments[1], builder.sub(arguments[2], ir.Constant(number, 1)))
        value = builder.load(builder.gep(data, [last]))
        below = builder.fcmp_ordered("<", value, arguments[3])
        step = builder.select(below, arguments[2], ir.Constant(number, 0))
        # without this the compiler makes a branch of it
        step.set_metadata("unpredictable", builder.module.add_metadata([]))
        return step

    return types.int64(values, types.int64, types.int64, types.float64), generate


move, _lanes, _below, _step = _move, _add_up, _count, _skip
if not numba.config.DISABLE_JIT:  # type: ignore[attr-defined]  # set at run time
    move = cast(Any, intrinsic(_move_typed))
    _lanes = cast(Any, intrinsic(_add_up_typed))
    _below = cast(Any, intrinsic(_count_typed))
    _step = cast(Any, intrinsic(_skip_typed))
# `move(values, to, start, count)` copies ``values[start:start + count]`` to ``values[to:...]``; the
# two may overlap. Nothing is checked.


@inlined
def total(values: Float64, start: int, count: int) -> float:
    """Sum of ``values[start : start + count]``, in a fixed order; error below count eps sum |x|.

    In lanes from `WIDTH` numbers on; a plain loop below.
    """
    if count >= WIDTH:
        return float(_lanes(values, start, count))
    found = 0.0
    for i in range(start, start + count):
        found += values[i]
    return found


@inlined
def first_not_below(values: Float64, start: int, count: int, x: float) -> int:
    """Index of the first of ``values[start : start + count]``, ascending, that is not below `x`.

    ``start + count`` if there is none. Without a branch to mispredict, which took 90 ns of 1300
    values and takes 20: halves down to a few vectors, each of which tells at once how many of its
    numbers are below.
    """
    at = start
    while count > COUNTED:
        half = (count + 1) >> 1
        at += _step(values, at, half, x)
        count -= half
    if count >= WIDTH:
        return int(at + _below(values, at, count, x))
    found = at
    for i in range(at, at + count):
        found += int(values[i] < x)
    return found
