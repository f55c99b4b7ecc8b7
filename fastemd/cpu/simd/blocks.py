"""Blocks: eight columns of eight rows, a tuple of eight `Lanes`."""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .lanes import WIDTH, Lanes, constant, slot, splat

BLOCK = types.UniTuple(Lanes, WIDTH)


def _columnwise(count, instruction):
    """An intrinsic that does the same to each column of `count` blocks."""

    def codegen(context, builder, signature, arguments):
        blocks = [cgutils.unpack_tuple(builder, argument, WIDTH) for argument in arguments[:count]]
        done = [instruction(builder, *column, *arguments[count:]) for column in zip(*blocks, strict=True)]
        return context.make_tuple(builder, BLOCK, done)

    return codegen


@intrinsic
def affine(typing, block, shift, factor):
    """(x - shift) * factor for each column x; shift and factor are lanes."""
    codegen = _columnwise(1, lambda builder, x, s, f: builder.fmul(builder.fsub(x, s), f))
    return BLOCK(block, shift, factor), codegen


@intrinsic
def minus(typing, block, other):
    """X - y for each column."""
    return BLOCK(block, other), _columnwise(2, ir.IRBuilder.fsub)


@intrinsic
def times(typing, block, other):
    """X * y for each column."""
    return BLOCK(block, other), _columnwise(2, ir.IRBuilder.fmul)


@intrinsic
def run(typing, buffer, j):
    """The slots j..j+7 of a buffer."""

    def codegen(context, builder, signature, arguments):
        where = (builder.add(arguments[1], ir.IntType(64)(k)) for k in range(WIDTH))
        found = [builder.load(slot(context, builder, buffer, arguments[0], i), align=8) for i in where]
        return context.make_tuple(builder, BLOCK, found)

    return BLOCK(buffer, types.intp), codegen


@intrinsic
def gather(typing, buffer, slots, j):
    """The slots slots[j], ..., slots[j+7] of a buffer."""

    def codegen(context, builder, signature, arguments):
        index = context.make_array(slots)(context, builder, arguments[1]).data
        where = (builder.load(builder.gep(index, [builder.add(arguments[2], ir.IntType(64)(k))])) for k in range(WIDTH))
        found = [builder.load(slot(context, builder, buffer, arguments[0], i), align=8) for i in where]
        return context.make_tuple(builder, BLOCK, found)

    return BLOCK(buffer, slots, types.intp), codegen


@intrinsic
def one_hot(typing, classes, j):
    """1 in the lanes whose class is the column, 0 in the others, for columns j..j+7."""

    def codegen(context, builder, signature, arguments):
        columns = []
        for k in range(WIDTH):
            index = builder.sitofp(builder.add(arguments[1], ir.IntType(64)(k)), ir.DoubleType())
            hit = builder.fcmp_ordered("==", arguments[0], splat(builder, index))
            columns.append(builder.select(hit, constant(1.0), constant(0.0)))
        return context.make_tuple(builder, BLOCK, columns)

    return BLOCK(classes, types.intp), codegen
