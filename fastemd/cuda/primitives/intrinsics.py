"""The one place that imports numba's CUDA target, and the instructions that numba does not offer.

Kernels read and write memory by address: 64-bit integers, so that an array of any size, shape and strides is reached
in one way, and a launch passes numbers only.
"""

from types import ModuleType

from llvmlite import ir
from numba import types

from ...arrays.driver import SIMULATED, cuda
from ...formulas import edge

if SIMULATED:
    from numba.core import config
    from numba.extending import intrinsic, overload
else:
    from numba.cuda import config
    from numba.cuda.extending import intrinsic, overload

WARP = 32
ALL = 0xFFFFFFFF  # the lanes of a warp that take part: every one
GLOBAL = 1  # the address space of device memory
FOUR = 4

# Functions of the device are inlined, so that a thread's four numbers stay in registers.
device = cuda.jit(device=True) if SIMULATED else cuda.jit(device=True, forceinline=True)


WARNS = getattr(config, "CUDA_LOW_OCCUPANCY_WARNINGS", 0)


def launch(kernel, blocks, threads, stream, shared_bytes, arguments):
    """Queue a kernel. Numba would warn of a small grid, but a small batch has no other."""
    config.CUDA_LOW_OCCUPANCY_WARNINGS = 0
    try:
        configured = kernel[blocks, threads, stream, shared_bytes]
    finally:
        config.CUDA_LOW_OCCUPANCY_WARNINGS = WARNS
    configured(*arguments)


class Parts(ModuleType):
    """Functions of the device by name; numba lets a kernel read them off a module, and off nothing else.

    A subclass annotates the names that it has, and they are all given.
    """

    def __init__(self, **parts):
        super().__init__(type(self).__name__)
        assert parts.keys() == type(self).__annotations__.keys()
        vars(self).update(parts)


def _pointer(builder, address, kind):
    return builder.inttoptr(address, ir.PointerType(kind, GLOBAL))


@intrinsic
def load(typingctx, address, like):
    """The number at an address, of the type that `like`, a numba type, names."""
    number = like.dtype

    def codegen(context, builder, signature, arguments):
        kind = context.get_value_type(number)
        return builder.load(_pointer(builder, arguments[0], kind), align=number.bitwidth // 8)

    return number(types.int64, like), codegen


@intrinsic
def load_four(typingctx, address, like):
    """Four numbers side by side, in one instruction or two; the address is a multiple of 16, or of their size."""
    number = like.dtype
    four = types.UniTuple(number, FOUR)

    def codegen(context, builder, signature, arguments):
        kind = ir.VectorType(context.get_value_type(number), FOUR)
        vector = builder.load(_pointer(builder, arguments[0], kind), align=min(16, FOUR * number.bitwidth // 8))
        index = ir.IntType(32)
        parts = [builder.extract_element(vector, ir.Constant(index, k)) for k in range(FOUR)]
        return context.make_tuple(builder, four, parts)

    return four(types.int64, like), codegen


@intrinsic
def store(typingctx, address, number):
    """Write a number to an address."""

    def codegen(context, builder, signature, arguments):
        kind = context.get_value_type(number)
        builder.store(arguments[1], _pointer(builder, arguments[0], kind), align=number.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(types.int64, number), codegen


@intrinsic
def store_four(typingctx, address, a, b, c, d):
    """Write four numbers side by side, in one instruction or two; the address is as for `load_four`."""

    def codegen(context, builder, signature, arguments):
        kind = ir.VectorType(context.get_value_type(a), FOUR)
        vector = ir.Constant(kind, ir.Undefined)
        for k, part in enumerate(arguments[1:]):
            vector = builder.insert_element(vector, part, ir.Constant(ir.IntType(32), k))
        builder.store(vector, _pointer(builder, arguments[0], kind), align=min(16, FOUR * a.bitwidth // 8))
        return context.get_dummy_value()

    return types.void(types.int64, a, a, a, a), codegen


def _converted(text, source, target):
    """Make an instruction that converts a register of one type to one of another."""

    @intrinsic
    def convert(typingctx, number):
        def codegen(context, builder, signature, arguments):
            to, from_ = (context.get_value_type(kind) for kind in (target, source))
            constraint = ",".join(("=" + _REGISTERS[target], _REGISTERS[source]))
            call = ir.InlineAsm(ir.FunctionType(to, [from_]), text, constraint)
            return builder.call(call, arguments)

        return target(source), codegen

    return convert


_REGISTERS = {types.uint16: "h", types.uint32: "r", types.float32: "f", types.float64: "d"}

float_of_half = _converted("cvt.f32.f16 $0, $1;", types.uint16, types.float32)
half_of_double = _converted("cvt.rn.f16.f64 $0, $1;", types.float64, types.uint16)
float_of_bits = _converted("mov.b32 $0, $1;", types.uint32, types.float32)
bits_of_float = _converted("mov.b32 $0, $1;", types.float32, types.uint32)
float_towards_zero = _converted("cvt.rz.f32.f64 $0, $1;", types.float64, types.float32)


@intrinsic
def plus(typingctx, x, y):
    """The sum of two numbers, rounded by itself.

    A compiler may round a product and the sum that it goes into at once, or not, as suits the code around them. What
    adds a product adds it by this, so that the same row has the same bits in every kernel.
    """

    def codegen(context, builder, signature, arguments):
        number = ir.DoubleType()
        add = ir.InlineAsm(ir.FunctionType(number, [number, number]), "add.rn.f64 $0, $1, $2;", "=d,d,d")
        return builder.call(add, arguments)

    return types.float64(types.float64, types.float64), codegen


@overload(edge.sign)
def _sign(phi):
    return edge.sign


@overload(edge.cost)
def _cost(phi, length, rho):
    return edge.cost


@overload(edge.slope)
def _slope(phi, length, rho):
    return edge.slope
