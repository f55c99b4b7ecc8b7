"""Instructions that numba's CUDA target does not offer, and the launch of a kernel.

The CUDA backend takes numba's CUDA target (`cuda`), its types and its extension API from this module, and imports them
nowhere else; the target itself comes from `fastemd.arrays.driver`. Tests hold that.

Kernels load and store by address, a 64-bit integer: arrays of any size, shape and strides are then reached in one way,
and a launch passes only numbers.
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
FULL_MASK = 0xFFFFFFFF  # every lane of a warp takes part
GLOBAL_SPACE = 1  # LLVM's number of the address space of global memory
VECTOR = 4  # numbers of a vector load or store

# Device functions are inlined, so that a thread's columns stay in registers.
device = cuda.jit(device=True) if SIMULATED else cuda.jit(device=True, forceinline=True)

LOW_OCCUPANCY_WARNINGS = getattr(config, "CUDA_LOW_OCCUPANCY_WARNINGS", 0)


def launch(kernel, blocks, threads, stream, shared_bytes, arguments):
    """Queue a kernel, without numba's warning of a small grid: a small batch has no larger one."""
    config.CUDA_LOW_OCCUPANCY_WARNINGS = 0
    try:
        configured = kernel[blocks, threads, stream, shared_bytes]
    finally:
        config.CUDA_LOW_OCCUPANCY_WARNINGS = LOW_OCCUPANCY_WARNINGS
    configured(*arguments)


class DeviceFunctions(ModuleType):
    """A table of device functions and constants, as a module: kernels read attributes of modules only.

    A subclass annotates the names of its table; all of them are required.
    """

    def __init__(self, **functions):
        super().__init__(type(self).__name__)
        assert functions.keys() == type(self).__annotations__.keys()
        vars(self).update(functions)


def _pointer(builder, address, kind):
    return builder.inttoptr(address, ir.PointerType(kind, GLOBAL_SPACE))


@intrinsic
def load(typingctx, address, like):
    """The number at an address, of the numba type `like`."""
    number = like.dtype

    def codegen(context, builder, signature, arguments):
        kind = context.get_value_type(number)
        return builder.load(_pointer(builder, arguments[0], kind), align=number.bitwidth // 8)

    return number(types.int64, like), codegen


@intrinsic
def load_four(typingctx, address, like):
    """Four adjacent numbers, by one instruction or two; the address is a multiple of 16, or of their joint size."""
    number = like.dtype
    four = types.UniTuple(number, VECTOR)

    def codegen(context, builder, signature, arguments):
        kind = ir.VectorType(context.get_value_type(number), VECTOR)
        vector = builder.load(_pointer(builder, arguments[0], kind), align=min(16, VECTOR * number.bitwidth // 8))
        index = ir.IntType(32)
        parts = [builder.extract_element(vector, ir.Constant(index, k)) for k in range(VECTOR)]
        return context.make_tuple(builder, four, parts)

    return four(types.int64, like), codegen


@intrinsic
def store(typingctx, address, number):
    """Store a number at an address."""

    def codegen(context, builder, signature, arguments):
        kind = context.get_value_type(number)
        builder.store(arguments[1], _pointer(builder, arguments[0], kind), align=number.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(types.int64, number), codegen


@intrinsic
def store_four(typingctx, address, a, b, c, d):
    """Store four adjacent numbers, by one instruction or two; the address is as for `load_four`."""

    def codegen(context, builder, signature, arguments):
        kind = ir.VectorType(context.get_value_type(a), VECTOR)
        vector = ir.Constant(kind, ir.Undefined)
        for k, part in enumerate(arguments[1:]):
            vector = builder.insert_element(vector, part, ir.Constant(ir.IntType(32), k))
        builder.store(vector, _pointer(builder, arguments[0], kind), align=min(16, VECTOR * a.bitwidth // 8))
        return context.get_dummy_value()

    return types.void(types.int64, a, a, a, a), codegen


def _conversion(text, from_type, to_type):
    """The intrinsic of an instruction that converts a register of one type to another type."""

    @intrinsic
    def convert(typingctx, number):
        def codegen(context, builder, signature, arguments):
            to, from_ = (context.get_value_type(kind) for kind in (to_type, from_type))
            constraint = ",".join(("=" + _REGISTERS[to_type], _REGISTERS[from_type]))
            call = ir.InlineAsm(ir.FunctionType(to, [from_]), text, constraint)
            return builder.call(call, arguments)

        return to_type(from_type), codegen

    return convert


_REGISTERS = {types.uint16: "h", types.uint32: "r", types.float32: "f", types.float64: "d"}

float_of_half = _conversion("cvt.f32.f16 $0, $1;", types.uint16, types.float32)
half_of_double = _conversion("cvt.rn.f16.f64 $0, $1;", types.float64, types.uint16)
float_of_bits = _conversion("mov.b32 $0, $1;", types.uint32, types.float32)
bits_of_float = _conversion("mov.b32 $0, $1;", types.float32, types.uint32)
float_towards_zero = _conversion("cvt.rz.f32.f64 $0, $1;", types.float64, types.float32)


@intrinsic
def plus(typingctx, x, y):
    """The sum of two numbers, never fused with a product.

    A compiler may fuse a product and the sum that it enters, or not, as suits the code around them. Sums of products
    use this intrinsic, so that a row has the same bits in every kernel (tests/cuda/test_dtypes.py).
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
