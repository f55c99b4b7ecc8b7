"""Consumers of the potentials and flows of a row (`fastemd.cuda.exact.sweeps.Consumer`)."""

from ...formulas.edge import cost
from ..primitives import intrinsics
from ..primitives.intrinsics import cuda, device, types
from . import differences
from .sweeps import Consumer


def store_potentials(form, count):
    """The consumer that stores (f - shift) * factor; output = (row, step, columns, shift, factor)."""
    columns = differences.columns(form, count)

    @device
    def consume_tile(row, output, j, f):
        for k in range(count):
            f[k] = (f[k] - output[3]) * output[4]
        columns.store_tile(output[0], output[1], j, output[2], f)
        return 0.0

    @device
    def consume_one(row, output, j, f):
        columns.store_one(output[0], output[1], j, output[2], (f - output[3]) * output[4])
        return 0.0

    return Consumer(consume_tile=consume_tile, consume_one=consume_one, summed=False)


def store_logits_gradient(form, loader, count):
    """The consumer that stores p * (f - shift); output as for `store_potentials`."""
    columns = differences.columns(form, count)

    @device
    def consume_tile(row, output, j, f):
        p = cuda.local.array(count, types.float64)
        loader.load_weights_tile(row.inputs, j, row.n, p)
        for k in range(count):
            f[k] = p[k] * (f[k] - output[3])
        columns.store_tile(output[0], output[1], j, output[2], f)
        return 0.0

    @device
    def consume_one(row, output, j, f):
        p = loader.load_weight(row.inputs, j, row.n)
        columns.store_one(output[0], output[1], j, output[2], p * (f - output[3]))
        return 0.0

    return Consumer(consume_tile=consume_tile, consume_one=consume_one, summed=False)


def expected_potential(loader, count):
    """The consumer that sums the potential, weighted by the mass of a histogram."""

    @device
    def consume_tile(row, output, j, f):
        p = cuda.local.array(count, types.float64)
        loader.load_weights_tile(row.inputs, j, row.n, p)
        total = 0.0
        for k in range(count):
            total = intrinsics.plus(total, p[k] * f[k])
        return total

    @device
    def consume_one(row, output, j, f):
        return loader.load_weight(row.inputs, j, row.n) * f

    return Consumer(consume_tile=consume_tile, consume_one=consume_one, summed=True)


def store_flows(form, of_lengths, count):
    """The consumer that stores flows, or their costs on edges of length 1; output = (row, step, edges, status)."""
    columns = differences.columns(form, count)

    @device
    def entry(row, output, phi):
        return intrinsics.plus(cost(phi, 1.0, row.rho) if of_lengths else phi, output[3])

    @device
    def consume_tile(row, output, e, phi):
        for k in range(count):
            phi[k] = entry(row, output, phi[k])
        columns.store_tile(output[0], output[1], e, output[2], phi)

    @device
    def consume_one(row, output, e, phi):
        columns.store_one(output[0], output[1], e, output[2], entry(row, output, phi))

    return Consumer(consume_tile=consume_tile, consume_one=consume_one, summed=False)
