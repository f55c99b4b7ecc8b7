"""Loads of rows into lanes, and stores of lanes into rows.

`rows(x, first, last, scale)` holds the addresses of the eight rows first..first+7 of a two-dimensional array whose
columns lie side by side. The rows may lie any distance apart (0 where one target serves a batch). Where fewer than
eight are left before `last`, the last one is repeated: it is computed again and stored again, with the same bits, so no
kernel needs a tail loop over rows. Past the last column, loads give 0 and stores do nothing, so kernels sweep blocks of
eight columns whatever n is.

Eight rows of eight columns are loaded as eight row vectors, converted to float64 before anything is computed (so
float32 differences are exact) and transposed in registers into eight `Lanes`, one a column. While eight rows are swept,
the next eight are prefetched, or the next columns of long rows: a processor does not predict sixteen streams by itself
(benchmarks/README.md).
"""

import functools

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

from .lanes import INLINE, WIDTH, Lanes, Mask, lanes, splat

I1, I32, I64 = ir.IntType(1), ir.IntType(32), ir.IntType(64)
LLVM_FLOAT = {types.float32: ir.FloatType(), types.float64: ir.DoubleType()}
LONG = 1 << 18  # bytes of eight rows from which on the next eight would be prefetched too early to stay in cache
AHEAD = 1 << 10  # bytes that are prefetched ahead along such rows instead
COLUMNS = types.UniTuple(Lanes, WIDTH)


class Rows(types.Type):
    """Eight row addresses, the factor of each row where `scaled`, and the distance in bytes to prefetch ahead."""

    def __init__(self, dtype, scaled):
        self.dtype, self.scaled = dtype, scaled
        super().__init__(name=f"Rows({dtype}, {'scaled' if scaled else 'plain'})")


@register_model(Rows)
class RowsModel(models.PrimitiveModel):
    """Addresses and factors, held in registers."""

    def __init__(self, manager, kind):
        pair = ir.LiteralStructType([ir.ArrayType(I64, WIDTH), ir.ArrayType(ir.DoubleType(), WIDTH), I64])
        super().__init__(manager, kind, pair)


@intrinsic
def rows(typing, x, first, last, scale):
    """Return rows first..first+7 of `x`, row last-1 repeated from `last` on; times `scale[row]` unless that is None."""
    scaled = not isinstance(scale, types.NoneType)
    kind = Rows(x.dtype, scaled)

    def codegen(context, builder, signature, arguments):
        array = context.make_array(x)(context, builder, arguments[0])
        stride = cgutils.unpack_tuple(builder, array.strides, 2)[0]
        base = builder.ptrtoint(array.data, I64)
        result = ir.Constant(context.get_value_type(kind), ir.Undefined)
        if scaled:
            factors = context.make_array(scale)(context, builder, arguments[3])
        eight = builder.mul(stride, I64(WIDTH))
        long = builder.icmp_signed(">", eight, I64(LONG))
        result = builder.insert_value(result, builder.select(long, I64(AHEAD), eight), [2])
        for k in range(WIDTH):
            row = _clamped(builder, arguments[1], arguments[2], k)
            result = builder.insert_value(result, builder.add(base, builder.mul(row, stride)), [0, k])
            if scaled:
                result = builder.insert_value(result, builder.load(_entry(builder, factors, row)), [1, k])
        return result

    return kind(x, types.intp, types.intp, scale), codegen


def _clamped(builder, first, last, k):
    row, end = builder.add(first, I64(k)), builder.sub(last, I64(1))
    return builder.select(builder.icmp_signed("<", row, end), row, end)


def _shuffle(builder, x, y, index):
    return builder.shuffle_vector(x, y, ir.Constant(ir.VectorType(I32, len(index)), index))


def _transpose(builder, r):
    pairs = []
    for k in range(0, WIDTH, 2):
        pairs.append(_shuffle(builder, r[k], r[k + 1], [0, 8, 2, 10, 4, 12, 6, 14]))
        pairs.append(_shuffle(builder, r[k], r[k + 1], [1, 9, 3, 11, 5, 13, 7, 15]))
    fours = []
    for k in (0, 4):
        for half in ([0, 1, 8, 9, 4, 5, 12, 13], [2, 3, 10, 11, 6, 7, 14, 15]):
            fours += [_shuffle(builder, pairs[k + i], pairs[k + i + 2], half) for i in (0, 1)]
    low, high = [0, 1, 2, 3, 8, 9, 10, 11], [4, 5, 6, 7, 12, 13, 14, 15]
    return [_shuffle(builder, fours[k], fours[k + 4], half) for half in (low, high) for k in range(4)]


def _pointer(builder, address, column, element):
    """Return the pointer to eight elements of a row, from column `column` on."""
    size = 4 if isinstance(element, ir.FloatType) else 8
    at = builder.add(address, builder.mul(column, I64(size)))
    return builder.inttoptr(at, ir.VectorType(element, WIDTH).as_pointer()), size


def _inside(builder, column, n):
    """Return the mask of the columns column..column+7 that come before n."""
    index = ir.VectorType(I64, WIDTH)
    one = builder.insert_element(ir.Constant(index, ir.Undefined), builder.sub(n, column), I32(0))
    left = _shuffle(builder, one, one, [0] * WIDTH)
    return builder.icmp_signed("<", ir.Constant(index, list(range(WIDTH))), left)


def _prefetch(builder, value, k, column, size):
    """Prefetch the numbers at the distance that `rows` chose."""
    address = builder.add(builder.extract_value(value, [0, k]), builder.extract_value(value, [2]))
    at = builder.inttoptr(builder.add(address, builder.mul(column, I64(size))), ir.IntType(8).as_pointer())
    kind = ir.FunctionType(ir.VoidType(), [at.type, I32, I32, I32])
    read, keep, data = I32(0), I32(3), I32(1)
    builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0"), [at, read, keep, data])


def _load_row(builder, kind, value, k, column, n):
    """Load columns column..column+7 of row k in the dtype of the array; where n is given, 0 from column n on."""
    element = LLVM_FLOAT[kind.dtype]
    pointer, size = _pointer(builder, builder.extract_value(value, [0, k]), column, element)
    if n is None:
        _prefetch(builder, value, k, column, size)
        return builder.load(pointer, align=size)
    vector = ir.VectorType(element, WIDTH)
    mask = _inside(builder, column, n)
    load = ir.FunctionType(vector, [pointer.type, I32, mask.type, vector])
    function = cgutils.get_or_insert_function(builder.module, load, f"llvm.masked.load.v{WIDTH}f{8 * size}.p0")
    return builder.call(function, [pointer, I32(size), mask, ir.Constant(vector, [0.0] * WIDTH)])


def _to_float64(builder, kind, value, k, row):
    """Return row k in float64, times its factor."""
    if isinstance(row.type.element, ir.FloatType):
        row = builder.fpext(row, Lanes.llvm)
    return builder.fmul(row, splat(builder, builder.extract_value(value, [1, k]))) if kind.scaled else row


def _negative(builder, loaded):
    """Return the mask of the columns in which any loaded row has its sign bit set (-0.0 has it too)."""
    whole = ir.VectorType(I32 if isinstance(loaded[0].type.element, ir.FloatType) else I64, WIDTH)
    bits = [builder.bitcast(row, whole) for row in loaded]
    return builder.icmp_signed("<", functools.reduce(builder.or_, bits), ir.Constant(whole, [0] * WIDTH))


def _loader(combine, partial):
    """An intrinsic that loads eight columns of one or two `Rows`, combined row by row, and the mask of their signs."""

    def typed(typing, kinds, j, n):
        result = types.Tuple((COLUMNS, Mask))

        def codegen(context, builder, signature, arguments):
            values = cgutils.unpack_tuple(builder, arguments[0], len(kinds))
            end = arguments[2] if partial else None
            loaded, combined = [], []
            for k in range(WIDTH):
                each = [_load_row(builder, t, v, k, arguments[1], end) for t, v in zip(kinds, values, strict=True)]
                converted = [_to_float64(builder, t, v, k, x) for t, v, x in zip(kinds, values, each, strict=True)]
                loaded += each
                combined.append(combine(builder, *converted))
            columns = context.make_tuple(builder, COLUMNS, _transpose(builder, combined))
            return context.make_tuple(builder, result, [columns, _negative(builder, loaded)])

        return result(kinds, types.intp, types.intp), codegen

    return intrinsic(typed)


_difference_of_eight = _loader(ir.IRBuilder.fsub, partial=False)
_difference_of_rest = _loader(ir.IRBuilder.fsub, partial=True)
_eight = _loader(lambda builder, x: x, partial=False)
_rest = _loader(lambda builder, x: x, partial=True)


@njit(**INLINE)
def load_differences(x, y, j, n):
    """Load columns j..j+7 of x - y, each as `Lanes`, 0 from column n on; and the mask where x or y may be negative."""
    if j + WIDTH <= n:
        return _difference_of_eight((x, y), j, n)
    return _difference_of_rest((x, y), j, n)


@njit(**INLINE)
def load_columns(x, j, n):
    """Load columns j..j+7 of x, each as `Lanes`, 0 from column n on; and the mask where x may be negative."""
    if j + WIDTH <= n:
        return _eight((x,), j, n)
    return _rest((x,), j, n)


def _rounded(builder, x, element):
    return builder.fptrunc(x, ir.VectorType(element, WIDTH)) if isinstance(element, ir.FloatType) else x


def _storer(partial):
    """An intrinsic that stores eight columns of lanes into eight rows."""

    def typed(typing, out, j, n, block):
        element = LLVM_FLOAT[out.dtype]

        def codegen(context, builder, signature, arguments):
            rounded = [_rounded(builder, x, element) for x in cgutils.unpack_tuple(builder, arguments[3], WIDTH)]
            for k, row in enumerate(_transpose(builder, rounded)):
                address = builder.extract_value(arguments[0], [0, k])
                pointer, size = _pointer(builder, address, arguments[1], element)
                if partial:
                    name = f"llvm.masked.store.v{WIDTH}f{8 * size}.p0"
                    mask = _inside(builder, arguments[1], arguments[2])
                    kind = ir.FunctionType(ir.VoidType(), [row.type, pointer.type, I32, mask.type])
                    store = cgutils.get_or_insert_function(builder.module, kind, name)
                    builder.call(store, [row, pointer, I32(size), mask])
                else:
                    builder.store(row, pointer, align=size)
            return context.get_dummy_value()

        return types.void(out, types.intp, types.intp, COLUMNS), codegen

    return intrinsic(typed)


_store_eight = _storer(partial=False)
_store_rest = _storer(partial=True)


@njit(**INLINE)
def store_columns(out, j, n, block):
    """Store columns j..j+7, rounded to the array's dtype, into the `Rows` out; nothing from column n on."""
    if j + WIDTH <= n:
        _store_eight(out, j, n, block)
    else:
        _store_rest(out, j, n, block)


def _entry(builder, array, i):
    """Return the pointer to entry i of a vector of any stride."""
    stride = cgutils.unpack_tuple(builder, array.strides, 1)[0]
    at = builder.add(builder.ptrtoint(array.data, I64), builder.mul(i, stride))
    return builder.inttoptr(at, array.data.type)


@intrinsic
def store_lanes(typing, out, first, last, x):
    """Store lane k into out[first + k], rounded to the array's dtype; lanes from `last` on repeat that of last-1."""

    def codegen(context, builder, signature, arguments):
        array = context.make_array(out)(context, builder, arguments[0])
        rounded = _rounded(builder, arguments[3], LLVM_FLOAT[out.dtype])
        for k in range(WIDTH):
            pointer = _entry(builder, array, _clamped(builder, arguments[1], arguments[2], k))
            builder.store(builder.extract_element(rounded, I32(k)), pointer)
        return context.get_dummy_value()

    return types.void(out, types.intp, types.intp, x), codegen


@intrinsic
def _load_lanes(typing, x, first, last):
    def codegen(context, builder, signature, arguments):
        array = context.make_array(x)(context, builder, arguments[0])
        result = ir.Constant(Lanes.llvm, ir.Undefined)
        for k in range(WIDTH):
            number = builder.load(_entry(builder, array, _clamped(builder, arguments[1], arguments[2], k)))
            number = context.cast(builder, number, x.dtype, types.float64)
            result = builder.insert_element(result, number, I32(k))
        return result

    return Lanes(x, types.intp, types.intp), codegen


def load_lanes(x, first, last):
    """Load x[first], ..., x[first + 7] of a vector, x[last-1] repeated from `last` on; 1 where x is None."""


@overload(load_lanes, jit_options=INLINE)
def _load_lanes_or_ones(x, first, last):
    if isinstance(x, types.NoneType):
        return lambda x, first, last: lanes(1.0)
    return lambda x, first, last: _load_lanes(x, first, last)
