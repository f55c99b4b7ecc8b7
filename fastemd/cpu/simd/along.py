"""Lanes along a row: 64 neighbouring columns of one row as eight `Lanes`, and prefix sums of them.

`fastemd.cpu.simd.rows` puts eight rows side by side; here one row fills the registers, for rows so long that there are
few of them. Lane k of column c of a block holds entry 8 k + c: a lane is a run of eight neighbours. So prefix sums are
seven additions in lanes, and one scan over the eight runs, which alone needs shuffles from lane to lane. Vectors that
belong to the bins and do not change from row to row are kept in that order, see `in_lanes`.
"""

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from .lanes import INLINE, WIDTH, Lanes, Mask, splat
from .rows import COLUMNS, I32, I64, LLVM_FLOAT, _inside, _negative, _rounded, _shuffle, _transpose

BLOCK = WIDTH * WIDTH  # columns


def in_lanes(vector):
    """Return a vector of the bins in the order of lanes, with zeros appended up to whole blocks."""
    whole = np.zeros(-(-len(vector) // BLOCK) * BLOCK)
    whole[: len(vector)] = vector
    return whole.reshape(-1, WIDTH, WIDTH).swapaxes(1, 2).ravel()


def _run_pointers(context, builder, kind, array, row, column):
    """Yield the column of each run of eight from `column` on, a pointer to it, and the bytes of a number."""
    element = LLVM_FLOAT[kind.dtype]
    size = 4 if isinstance(element, ir.FloatType) else 8
    made = context.make_array(kind)(context, builder, array)
    stride = cgutils.unpack_tuple(builder, made.strides, 2)[0]
    start = builder.add(builder.ptrtoint(made.data, I64), builder.mul(row, stride))
    for k in range(WIDTH):
        at = builder.add(column, I64(WIDTH * k))
        address = builder.add(start, builder.mul(at, I64(size)))
        yield at, builder.inttoptr(address, ir.VectorType(element, WIDTH).as_pointer()), size


def _load_runs(context, builder, kind, array, row, column, n):
    """Load eight runs in the dtype of the array; where n is given, 0 from column n on."""
    loaded = []
    for at, pointer, size in _run_pointers(context, builder, kind, array, row, column):
        if n is None:
            loaded.append(builder.load(pointer, align=size))
            continue
        vector, mask = pointer.type.pointee, _inside(builder, at, n)
        load = ir.FunctionType(vector, [pointer.type, I32, mask.type, vector])
        function = cgutils.get_or_insert_function(builder.module, load, f"llvm.masked.load.v{WIDTH}f{8 * size}.p0")
        loaded.append(builder.call(function, [pointer, I32(size), mask, ir.Constant(vector, [0.0] * WIDTH)]))
    return loaded


def _as_float64(builder, runs, kind, factor):
    """Return runs in float64, times a factor, which is None for 1."""
    if runs[0].type.element != ir.DoubleType():
        runs = [builder.fpext(run, Lanes.llvm) for run in runs]
    if isinstance(kind, types.NoneType):
        return runs
    return [builder.fmul(run, splat(builder, factor)) for run in runs]


def _loader(partial):
    """An intrinsic that loads x - y of a block, and the mask where x or y may be negative."""

    def typed(typing, x, y, factor_x, factor_y, row, j, n):
        result = types.Tuple((COLUMNS, Mask))

        def codegen(context, builder, signature, arguments):
            place = arguments[4], arguments[5], arguments[6] if partial else None
            runs = [_load_runs(context, builder, kind, arguments[i], *place) for i, kind in enumerate((x, y))]
            xs = _as_float64(builder, runs[0], factor_x, arguments[2])
            ys = _as_float64(builder, runs[1], factor_y, arguments[3])
            differences = [builder.fsub(*pair) for pair in zip(xs, ys, strict=True)]
            columns = context.make_tuple(builder, COLUMNS, _transpose(builder, differences))
            return context.make_tuple(builder, result, [columns, _negative(builder, runs[0] + runs[1])])

        return result(x, y, factor_x, factor_y, types.intp, types.intp, types.intp), codegen

    return intrinsic(typed)


def _one_loader(partial):
    """An intrinsic that loads a block of one array."""

    def typed(typing, x, factor, row, j, n):
        def codegen(context, builder, signature, arguments):
            place = arguments[2], arguments[3], arguments[4] if partial else None
            runs = _load_runs(context, builder, x, arguments[0], *place)
            runs = _as_float64(builder, runs, factor, arguments[1])
            return context.make_tuple(builder, COLUMNS, _transpose(builder, runs))

        return COLUMNS(x, factor, types.intp, types.intp, types.intp), codegen

    return intrinsic(typed)


def _storer(partial):
    """An intrinsic that rounds a block and stores it; where `partial`, nothing from column n on."""

    def typed(typing, out, row, j, n, block):
        element = LLVM_FLOAT[out.dtype]

        def codegen(context, builder, signature, arguments):
            rounded = [_rounded(builder, x, element) for x in cgutils.unpack_tuple(builder, arguments[4], WIDTH)]
            places = _run_pointers(context, builder, out, *arguments[:3])
            for run, (at, pointer, size) in zip(_transpose(builder, rounded), places, strict=True):
                if not partial:
                    builder.store(run, pointer, align=size)
                    continue
                mask = _inside(builder, at, arguments[3])
                kind = ir.FunctionType(ir.VoidType(), [run.type, pointer.type, I32, mask.type])
                name = f"llvm.masked.store.v{WIDTH}f{8 * size}.p0"
                function = cgutils.get_or_insert_function(builder.module, kind, name)
                builder.call(function, [run, pointer, I32(size), mask])
            return context.get_dummy_value()

        return types.void(out, types.intp, types.intp, types.intp, block), codegen

    return intrinsic(typed)


_differences_of_block, _differences_of_rest = _loader(partial=False), _loader(partial=True)
_load_whole, _load_rest = _one_loader(partial=False), _one_loader(partial=True)
_store_whole, _store_rest = _storer(partial=False), _storer(partial=True)


@njit(**INLINE)
def differences_along(x, y, factor_x, factor_y, row, j, n):
    """Load columns j..j+63 of x - y of a row, 0 from column n on; and where x or y may be negative."""
    if j + BLOCK <= n:
        return _differences_of_block(x, y, factor_x, factor_y, row, j, n)
    return _differences_of_rest(x, y, factor_x, factor_y, row, j, n)


@njit(**INLINE)
def load_along(x, factor, row, j, n):
    """Load columns j..j+63 of a row, 0 from column n on."""
    if j + BLOCK <= n:
        return _load_whole(x, factor, row, j, n)
    return _load_rest(x, factor, row, j, n)


@njit(**INLINE)
def store_along(out, row, j, n, block):
    """Store columns j..j+63 of a row, rounded to the array's dtype; nothing from column n on."""
    if j + BLOCK <= n:
        _store_whole(out, row, j, n, block)
    else:
        _store_rest(out, row, j, n, block)


def _moved(builder, x, by):
    """The lanes moved up by some places, 0 in those that become free."""
    zero = ir.Constant(Lanes.llvm, [0.0] * WIDTH)
    return _shuffle(builder, x, zero, [WIDTH] * by + list(range(WIDTH - by)))


@intrinsic
def prefix_sums(typing, block, start):
    """Return start plus the sum of all entries up to each entry of a block; and the sum of the block in every lane."""
    result = types.Tuple((COLUMNS, Lanes))

    def codegen(context, builder, signature, arguments):
        columns = cgutils.unpack_tuple(builder, arguments[0], WIDTH)
        sums = [columns[0]]
        for column in columns[1:]:
            sums.append(builder.fadd(sums[-1], column))
        through = sums[-1]
        for by in (1, 2, 4):
            through = builder.fadd(through, _moved(builder, through, by))
        before = builder.fadd(arguments[1], _moved(builder, through, 1))
        total = _shuffle(builder, through, through, [WIDTH - 1] * WIDTH)
        sums = context.make_tuple(builder, COLUMNS, [builder.fadd(before, each) for each in sums])
        return context.make_tuple(builder, result, [sums, total])

    return result(block, start), codegen


@intrinsic
def moved_by_one(typing, block):
    """Return in each entry of a block the entry before it, 0 in the first."""

    def codegen(context, builder, signature, arguments):
        columns = cgutils.unpack_tuple(builder, arguments[0], WIDTH)
        return context.make_tuple(builder, COLUMNS, [_moved(builder, columns[-1], 1), *columns[:-1]])

    return COLUMNS(block), codegen


@intrinsic
def run_starts(typing):
    """Return 0, 8, ..., 56: the first column of each lane."""

    def codegen(context, builder, signature, arguments):
        return ir.Constant(Lanes.llvm, [float(WIDTH * k) for k in range(WIDTH)])

    return Lanes(), codegen


@intrinsic
def sum_of_lanes(typing, x):
    """Return the sum of the lanes, a number: of halves, of halves of these, of the last two."""

    def codegen(context, builder, signature, arguments):
        total = arguments[0]
        for by in (4, 2, 1):
            other = _shuffle(builder, total, total, [(k + by) % WIDTH for k in range(WIDTH)])
            total = builder.fadd(total, other)
        return builder.extract_element(total, I32(0))

    return types.float64(x), codegen


@intrinsic
def first_lane(typing, x):
    """Return the number in the first lane."""

    def codegen(context, builder, signature, arguments):
        return builder.extract_element(arguments[0], I32(0))

    return types.float64(x), codegen
