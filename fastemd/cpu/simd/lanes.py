"""Lanes: a vector register that holds one float64 of each of eight histograms.

A sweep along a chain or a tree is sequential, so no compiler vectorises it; but the rows of a batch are independent, so
eight of them can be swept together. Numba has no vector type. This module defines one, `Lanes`, by numba's extension
API and LLVM's vector types, with the arithmetic that the kernels use: `+ - * /`, `abs`, comparisons to a `Mask`,
`select`. Every lane is computed as a scalar would be, in the same order and without contraction, so a row's answer has
the same bits whichever rows stand beside it.

`fastemd.formulas.edge` is compiled for lanes here. `fastemd.cpu.simd.exp_log` adds `**` and `exp`, and
`fastemd.cpu.simd.rows` loads rows into lanes and stores them.
"""

import operator

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

from ...formulas import edge

WIDTH = 8
INLINE = {"nogil": True, "forceinline": True}


class Vector(types.Type):
    """Eight numbers in one vector register."""

    def __init__(self, name, element):
        self.llvm = ir.VectorType(element, WIDTH)
        super().__init__(name=name)


@register_model(Vector)
class VectorModel(models.PrimitiveModel):
    """The register itself is the value."""

    def __init__(self, manager, vector):
        super().__init__(manager, vector, vector.llvm)


Lanes = Vector("Lanes", ir.DoubleType())
Mask = Vector("Mask", ir.IntType(1))
WHOLE = ir.VectorType(ir.IntType(64), WIDTH)


def splat(builder, number):
    """The scalar `number` in every lane."""
    one = builder.insert_element(ir.Constant(Lanes.llvm, ir.Undefined), number, ir.IntType(32)(0))
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH))


def constant(number):
    """The literal `number` in every lane."""
    return ir.Constant(Lanes.llvm, [number] * WIDTH)


def call(builder, name, arguments):
    """Call LLVM's intrinsic `name` on lanes."""
    kind = ir.FunctionType(Lanes.llvm, [Lanes.llvm] * len(arguments))
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"{name}.v{WIDTH}f64"), arguments)


def broadcast(context, builder, value, kind):
    """Return a number in every lane, and lanes as they are."""
    if kind == Lanes:
        return value
    return splat(builder, context.cast(builder, value, kind, types.float64))


def _is_operand(kind):
    return kind == Lanes or isinstance(kind, types.Number | types.Literal)


def _binary(result, instruction, *operators):
    """Define `operators` on lanes, or lanes and a number, by an LLVM instruction."""

    @intrinsic
    def apply(typing, x, y):
        def codegen(context, builder, signature, arguments):
            return instruction(
                builder, *(broadcast(context, builder, v, t) for v, t in zip(arguments, (x, y), strict=True))
            )

        return result(x, y), codegen

    def typed(x, y):
        if Lanes in (x, y) and _is_operand(x) and _is_operand(y):
            return lambda x, y: apply(x, y)

    for name in operators:
        overload(name)(typed)


_binary(Lanes, ir.IRBuilder.fadd, operator.add, operator.iadd)
_binary(Lanes, ir.IRBuilder.fsub, operator.sub, operator.isub)
_binary(Lanes, ir.IRBuilder.fmul, operator.mul, operator.imul)
_binary(Lanes, ir.IRBuilder.fdiv, operator.truediv, operator.itruediv)
for _symbol, _operator in (
    ("<", operator.lt),
    ("<=", operator.le),
    ("==", operator.eq),
    (">", operator.gt),
    (">=", operator.ge),
):
    _binary(Mask, lambda builder, x, y, symbol=_symbol: builder.fcmp_ordered(symbol, x, y), _operator)


def _of_masks(instruction, *operators):
    """Define `operators` on masks by an LLVM instruction."""

    @intrinsic
    def apply(typing, x, y):
        return Mask(x, y), lambda context, builder, signature, arguments: instruction(builder, *arguments)

    def typed(x, y):
        if x == y == Mask:
            return lambda x, y: apply(x, y)

    for name in operators:
        overload(name)(typed)


_of_masks(ir.IRBuilder.and_, operator.and_, operator.iand)
_of_masks(ir.IRBuilder.or_, operator.or_, operator.ior)


def _unary(function, body):
    @intrinsic
    def apply(typing, x):
        return Lanes(x), lambda context, builder, signature, arguments: body(builder, arguments[0])

    @overload(function)
    def typed(x):
        if x == Lanes:
            return lambda x: apply(x)


def _sign(builder, x):
    zero, one, minus = constant(0.0), constant(1.0), constant(-1.0)
    negative = builder.select(builder.fcmp_ordered("<", x, zero), minus, x)
    return builder.select(builder.fcmp_ordered(">", x, zero), one, negative)


_unary(abs, lambda builder, x: call(builder, "llvm.fabs", [x]))
_unary(operator.neg, ir.IRBuilder.fneg)


@overload(edge.sign)
def _sign_of(phi):
    if phi == Lanes:
        return lambda phi: _sign_of_lanes(phi)
    return edge.sign


@intrinsic
def _sign_of_lanes(typing, x):
    return Lanes(x), lambda context, builder, signature, arguments: _sign(builder, arguments[0])


@overload(edge.cost)
def _cost(phi, length, rho):
    return edge.cost


@overload(edge.slope)
def _slope(phi, length, rho):
    return edge.slope


@intrinsic
def lanes(typing, number):
    """Return a number in every lane."""

    def codegen(context, builder, signature, arguments):
        return broadcast(context, builder, arguments[0], number)

    return Lanes(number), codegen


@intrinsic
def select(typing, mask, x, y):
    """Return `x` where the mask is true, `y` elsewhere; each is lanes or a number."""

    def codegen(context, builder, signature, arguments):
        chosen = (broadcast(context, builder, v, t) for v, t in zip(arguments[1:], (x, y), strict=True))
        return builder.select(arguments[0], *chosen)

    return Lanes(mask, x, y), codegen


@intrinsic
def no_lane(typing):
    """Return the mask that is false in every lane."""
    return Mask(), lambda context, builder, signature, arguments: ir.Constant(Mask.llvm, [0] * WIDTH)


@intrinsic
def any_lane(typing, mask):
    """Whether the mask is true in any lane."""

    def codegen(context, builder, signature, arguments):
        bits = builder.bitcast(arguments[0], ir.IntType(WIDTH))
        return builder.icmp_unsigned("!=", bits, ir.IntType(WIDTH)(0))

    return types.boolean(mask), codegen


def _extreme(symbol):
    @intrinsic
    def apply(typing, x, y):
        def codegen(context, builder, signature, arguments):
            return builder.select(builder.fcmp_ordered(symbol, *arguments), *arguments)

        return Lanes(x, y), codegen

    return apply


maximum, minimum = _extreme(">"), _extreme("<")  # one instruction each; y where either is NaN


@intrinsic
def all_lanes(typing, mask):
    """Whether the mask is true in every lane."""

    def codegen(context, builder, signature, arguments):
        bits = builder.bitcast(arguments[0], ir.IntType(WIDTH))
        return builder.icmp_signed("==", bits, ir.IntType(WIDTH)(-1))

    return types.boolean(mask), codegen


@intrinsic
def set_lane(typing, x, k, number):
    """Return `x` with the number of lane `k` replaced."""

    def codegen(context, builder, signature, arguments):
        return builder.insert_element(arguments[0], arguments[2], arguments[1])

    return Lanes(x, types.intp, types.float64), codegen


def slot_pointer(context, builder, array_type, array, i):
    """Return the pointer to slot `i` of scratch."""
    data = context.make_array(array_type)(context, builder, array).data
    at = builder.gep(data, [builder.mul(i, ir.IntType(64)(WIDTH))])
    return builder.bitcast(at, Lanes.llvm.as_pointer())


@intrinsic
def load(typing, scratch, i):
    """Load the lanes in slot `i` of scratch, a float64 vector of eight times as many numbers as it has slots."""

    def codegen(context, builder, signature, arguments):
        return builder.load(slot_pointer(context, builder, scratch, *arguments), align=8)

    return Lanes(scratch, types.intp), codegen


@intrinsic
def store(typing, scratch, i, x):
    """Store lanes into slot `i` of scratch."""

    def codegen(context, builder, signature, arguments):
        builder.store(arguments[2], slot_pointer(context, builder, scratch, *arguments[:2]), align=8)
        return context.get_dummy_value()

    return types.void(scratch, types.intp, x), codegen
