"""Other ways to bring the differences of eight rows into lanes than that of `fastemd.cpu.simd.rows`.

Each is a *source*, as `fastemd.cpu.exact.sweeps` calls where a sweep gets its differences from: a tuple around the shipped
one. So a shipped sweep runs with another source as it is.
"""

from typing import NamedTuple

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from fastemd.cpu.exact import sweeps
from fastemd.cpu.simd import rows
from fastemd.cpu.simd.lanes import INLINE, WIDTH, Lanes, Mask
from fastemd.cpu.simd.rows import COLUMNS


class Unfetched(NamedTuple):
    """The rows `pair[0]` - `pair[1]`, nothing being fetched ahead."""

    pair: tuple


class Narrow(NamedTuple):
    """The float32 rows `pair[0]` - `pair[1]`, subtracted and transposed in float32: half the shuffles, but rounded."""

    pair: tuple


def _loader(*, fetched, narrow):
    """An intrinsic that loads eight columns of differences and tells where a number may be negative."""

    def typed(typing, pair, j):
        result = types.Tuple((COLUMNS, Mask))

        def codegen(context, builder, signature, arguments):
            values = cgutils.unpack_tuple(builder, arguments[0], 2)
            loaded, differences = [], []
            for k in range(WIDTH):
                here = [
                    _load(builder, kind, value, k, arguments[1], fetched)
                    for kind, value in zip(pair, values, strict=True)
                ]
                loaded += here
                differences.append(builder.fsub(*(here if narrow else [_widened(builder, row) for row in here])))
            columns = [_widened(builder, column) for column in rows._transpose(builder, differences)]
            block = context.make_tuple(builder, COLUMNS, columns)
            return context.make_tuple(builder, result, [block, rows._negative(builder, loaded)])

        return result(pair, types.intp), codegen

    return intrinsic(typed)


def _load(builder, kind, value, k, column, fetched):
    pointer, size = rows._pointer(builder, builder.extract_value(value, [0, k]), column, rows.LLVM_FLOAT[kind.dtype])
    if fetched:
        rows._prefetch(builder, value, k, column, size)
    return builder.load(pointer, align=size)


def _widened(builder, x):
    return builder.fpext(x, Lanes.llvm) if isinstance(x.type.element, ir.FloatType) else x


def _furnish(source_class, loader):
    """Let sweeps read such a source; columns beyond the last whole block come as the shipped rows give them."""

    @njit(**INLINE)
    def differences(pair, j, n):
        if j + WIDTH <= n:
            return loader(pair, j)
        return rows._difference_of_rest(pair, j, n)

    @overload(sweeps.block, jit_options=INLINE)
    def block(source, j, n):
        if isinstance(source, types.BaseNamedTuple) and source.instance_class is source_class:
            return lambda source, j, n: differences(source.pair, j, n)
        return None


_furnish(Unfetched, _loader(fetched=False, narrow=False))
_furnish(Narrow, _loader(fetched=True, narrow=True))


@intrinsic
def fetching_next_rows(typing, x):
    """The `Rows` x, so that the next eight rows are fetched however long they are."""

    def codegen(context, builder, signature, arguments):
        first, second = (builder.extract_value(arguments[0], [0, k]) for k in (0, 1))
        ahead = builder.mul(builder.sub(second, first), ir.IntType(64)(WIDTH))
        return builder.insert_value(arguments[0], ahead, [2])

    return x(x), codegen
