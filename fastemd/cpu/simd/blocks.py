"""Blocks: eight columns of eight rows, a tuple of eight `Lanes`."""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .lanes import WIDTH, Lanes, constant, slot_pointer, splat

BLOCK = types.UniTuple(Lanes, WIDTH)


def _columnwise(count, instruction):
    """Code that applies an instruction to each column of `count` blocks."""

    def codegen(context, builder, signature, arguments):
        blocks = [cgutils.unpack_tuple(builder, argument, WIDTH) for argument in arguments[:count]]
        done = [instruction(builder, *column, *arguments[count:]) for column in zip(*blocks, strict=True)]
        return context.make_tuple(builder, BLOCK, done)

    return codegen


@intrinsic
def affine(typing, block, shift, factor):
    """Return (x - shift) * factor for each column x; shift and factor are lanes."""
    codegen = _columnwise(1, lambda builder, x, s, f: builder.fmul(builder.fsub(x, s), f))
    return BLOCK(block, shift, factor), codegen


@intrinsic
def subtract(typing, block, other):
    """Return x - y for each column."""
    return BLOCK(block, other), _columnwise(2, ir.IRBuilder.fsub)


@intrinsic
def multiply(typing, block, other):
    """Return x * y for each column."""
    return BLOCK(block, other), _columnwise(2, ir.IRBuilder.fmul)


@intrinsic
def load_block(typing, scratch, j):
    """Load the slots j..j+7 of scratch."""

    def codegen(context, builder, signature, arguments):
        where = (builder.add(arguments[1], ir.IntType(64)(k)) for k in range(WIDTH))
        block = [builder.load(slot_pointer(context, builder, scratch, arguments[0], i), align=8) for i in where]
        return context.make_tuple(builder, BLOCK, block)

    return BLOCK(scratch, types.intp), codegen


@intrinsic
def gather(typing, scratch, slots, j):
    """Load the slots slots[j], ..., slots[j+7] of scratch."""

    def codegen(context, builder, signature, arguments):
        index = context.make_array(slots)(context, builder, arguments[1]).data
        where = (builder.load(builder.gep(index, [builder.add(arguments[2], ir.IntType(64)(k))])) for k in range(WIDTH))
        block = [builder.load(slot_pointer(context, builder, scratch, arguments[0], i), align=8) for i in where]
        return context.make_tuple(builder, BLOCK, block)

    return BLOCK(scratch, slots, types.intp), codegen


@intrinsic
def one_hot(typing, classes, j):
    """Return columns j..j+7 of one-hot rows: 1 in the lanes whose class is the column, 0 in the others."""

    def codegen(context, builder, signature, arguments):
        columns = []
        for k in range(WIDTH):
            index = builder.sitofp(builder.add(arguments[1], ir.IntType(64)(k)), ir.DoubleType())
            hit = builder.fcmp_ordered("==", arguments[0], splat(builder, index))
            columns.append(builder.select(hit, constant(1.0), constant(0.0)))
        return context.make_tuple(builder, BLOCK, columns)

    return BLOCK(classes, types.intp), codegen
