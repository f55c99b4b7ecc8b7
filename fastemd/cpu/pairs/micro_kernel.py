"""The innermost loop of all pairs: sums of |x - y| or (x - y)**2 of a few rows with a panel of rows, all in registers.

A tile is `ROWS` rows of one table against a panel of rows of the other. Its sums are vectors that never leave the
registers while the columns go by: a column takes one load for each vector of the panel, and one for each row. Each sum
is added up column by column, so its bits do not depend on the width of the vectors or on the tile.
"""

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

ROWS = 6
VECTORS = 2
# Numbers in a vector of the panel. A processor without 512-bit registers would have to spill vectors of that size.
WIDTHS = {types.float32: 16, types.float64: 8}
if not binding.get_host_cpu_features().get("avx512f", False):
    WIDTHS = {kind: width // 2 for kind, width in WIDTHS.items()}
PANELS = {kind: VECTORS * width for kind, width in WIDTHS.items()}


def _sums(square):
    """Return an intrinsic that writes the sums of a tile over columns first..last - 1 to `out`, row after row.

    `a` holds the tile's rows column by column, `ROWS` numbers a column; `b` the panel's. Both begin at an offset.
    """

    @intrinsic
    def sums(typing, a, first_a, b, first_b, first, last, out):
        width = WIDTHS[a.dtype]

        def codegen(context, builder, signature, arguments):
            number = context.get_value_type(a.dtype)
            whole, index = ir.VectorType(number, width), ir.IntType(64)
            bits = 32 if a.dtype == types.float32 else 64
            absolute = cgutils.get_or_insert_function(
                builder.module, ir.FunctionType(whole, [whole]), f"llvm.fabs.v{width}f{bits}"
            )
            pointers = [
                context.make_array(kind)(context, builder, arguments[k]).data for k, kind in ((0, a), (2, b), (6, out))
            ]
            base_a = builder.gep(pointers[0], [arguments[1]])
            base_b = builder.gep(pointers[1], [arguments[3]])

            def at(base, position):
                return builder.bitcast(builder.gep(base, [position]), whole.as_pointer())

            before = builder.block
            loop, after = builder.append_basic_block("columns"), builder.append_basic_block("end")
            builder.branch(loop)
            builder.position_at_end(loop)
            column = builder.phi(index)
            column.add_incoming(arguments[4], before)
            totals = [builder.phi(whole) for _ in range(ROWS * VECTORS)]
            for total in totals:
                total.add_incoming(ir.Constant(whole, [0.0] * width), before)
            start = builder.mul(column, index(VECTORS * width))
            panel = []
            for v in range(VECTORS):
                loaded = builder.load(at(base_b, builder.add(start, index(v * width))))
                loaded.align = bits // 8
                panel.append(loaded)
            added = []
            start = builder.mul(column, index(ROWS))
            for r in range(ROWS):
                scalar = builder.load(builder.gep(base_a, [builder.add(start, index(r))]))
                one = builder.insert_element(ir.Constant(whole, ir.Undefined), scalar, ir.IntType(32)(0))
                same = ir.Constant(ir.VectorType(ir.IntType(32), width), [0] * width)
                row = builder.shuffle_vector(one, one, same)
                for v in range(VECTORS):
                    difference = builder.fsub(row, panel[v])
                    term = builder.fmul(difference, difference) if square else builder.call(absolute, [difference])
                    added.append(builder.fadd(totals[r * VECTORS + v], term))
            following = builder.add(column, index(1))
            column.add_incoming(following, loop)
            for total, new in zip(totals, added, strict=True):
                total.add_incoming(new, loop)
            builder.cbranch(builder.icmp_signed("<", following, arguments[5]), loop, after)
            builder.position_at_end(after)
            for k, new in enumerate(added):
                stored = builder.store(new, at(pointers[2], index(k * width)))
                stored.align = bits // 8
            return context.get_dummy_value()

        return types.void(a, types.intp, b, types.intp, types.intp, types.intp, out), codegen

    return sums


absolute_sums, square_sums = _sums(False), _sums(True)
