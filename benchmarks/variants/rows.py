"""Other ways to load the differences of eight rows into lanes than that of `fastemd.cpu.simd.rows`.

Each is a named tuple around the shipped inputs of a sweep, with its own `load_differences`. So a shipped sweep runs on
other inputs as it is.
"""

from typing import NamedTuple

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from fastemd.cpu.exact import sweeps
from fastemd.cpu.layouts import implement
from fastemd.cpu.simd import rows
from fastemd.cpu.simd.lanes import INLINE, WIDTH, Lanes, Mask
from fastemd.cpu.simd.rows import COLUMNS


class NotPrefetched(NamedTuple):
    """The rows `pair[0]` - `pair[1]`, without prefetching."""

    pair: tuple


class Narrow(NamedTuple):
    """The float32 rows `pair[0]` - `pair[1]`, subtracted and transposed in float32: half the shuffles, but rounded."""

    pair: tuple


def _loader(*, prefetched, narrow):
    """An intrinsic that loads eight columns of differences, and the mask where a number may be negative."""

    def typed(typing, pair, j):
        result = types.Tuple((COLUMNS, Mask))

        def codegen(context, builder, signature, arguments):
            values = cgutils.unpack_tuple(builder, arguments[0], 2)
            loaded, differences = [], []
            for k in range(WIDTH):
                both = [
                    _load(builder, kind, value, k, arguments[1], prefetched)
                    for kind, value in zip(pair, values, strict=True)
                ]
                loaded += both
                differences.append(builder.fsub(*(both if narrow else [_to_float64(builder, row) for row in both])))
            columns = [_to_float64(builder, column) for column in rows._transpose(builder, differences)]
            block = context.make_tuple(builder, COLUMNS, columns)
            return context.make_tuple(builder, result, [block, rows._negative(builder, loaded)])

        return result(pair, types.intp), codegen

    return intrinsic(typed)


def _load(builder, kind, value, k, column, prefetched):
    pointer, size = rows._pointer(builder, builder.extract_value(value, [0, k]), column, rows.LLVM_FLOAT[kind.dtype])
    if prefetched:
        rows._prefetch(builder, value, k, column, size)
    return builder.load(pointer, align=size)


def _to_float64(builder, x):
    return builder.fpext(x, Lanes.llvm) if isinstance(x.type.element, ir.FloatType) else x


def _register(layout, loader):
    """Let sweeps load from inputs of the class `layout`; a partial last block is loaded as the shipped rows load it."""

    @njit(**INLINE)
    def load_pair(pair, j, n):
        if j + WIDTH <= n:
            return loader(pair, j)
        return rows._difference_of_rest(pair, j, n)

    implement(layout, sweeps.load_differences, lambda inputs, j, n: load_pair(inputs.pair, j, n), "inputs")


_register(NotPrefetched, _loader(prefetched=False, narrow=False))
_register(Narrow, _loader(prefetched=True, narrow=True))


@intrinsic
def prefetching_next_rows(typing, x):
    """Return the `Rows` x, changed so that the next eight rows are prefetched however long rows are."""

    def codegen(context, builder, signature, arguments):
        first, second = (builder.extract_value(arguments[0], [0, k]) for k in (0, 1))
        ahead = builder.mul(builder.sub(second, first), ir.IntType(64)(WIDTH))
        return builder.insert_value(arguments[0], ahead, [2])

    return x(x), codegen
