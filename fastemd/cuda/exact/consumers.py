"""Takers: what becomes of the potentials and flows that a row's sweep comes by; see `fastemd.cuda.exact.sweeps`."""

from ...formulas.edge import cost
from ..primitives import intrinsics
from ..primitives.intrinsics import cuda, device, types
from . import differences
from .sweeps import Taker


def writing(form, count):
    """What writes (f - shift) * factor, for o = (row, step, columns, shift, factor)."""
    out = differences.columns(form, count)

    @device
    def own(row, o, j, f):
        for k in range(count):
            f[k] = (f[k] - o[3]) * o[4]
        out.put_own(o[0], o[1], j, o[2], f)
        return 0.0

    @device
    def one(row, o, i, f):
        out.put_one(o[0], o[1], i, o[2], (f - o[3]) * o[4])
        return 0.0

    return Taker(own=own, one=one, summed=False)


def writing_logits(form, source, count):
    """What writes p * (f - shift), with o as for `writing`."""
    out = differences.columns(form, count)

    @device
    def own(row, o, j, f):
        p = cuda.local.array(count, types.float64)
        source.share(row.source, j, row.n, p)
        for k in range(count):
            f[k] = p[k] * (f[k] - o[3])
        out.put_own(o[0], o[1], j, o[2], f)
        return 0.0

    @device
    def one(row, o, i, f):
        out.put_one(o[0], o[1], i, o[2], source.share_one(row.source, i, row.n) * (f - o[3]))
        return 0.0

    return Taker(own=own, one=one, summed=False)


def expecting(source, count):
    """What adds up the potential over the mass of a histogram."""

    @device
    def own(row, o, j, f):
        p = cuda.local.array(count, types.float64)
        source.share(row.source, j, row.n, p)
        found = 0.0
        for k in range(count):
            found = intrinsics.plus(found, p[k] * f[k])
        return found

    @device
    def one(row, o, i, f):
        return source.share_one(row.source, i, row.n) * f

    return Taker(own=own, one=one, summed=True)


def listing(form, of_lengths, count):
    """What writes flows, or what each would cost on an edge of length 1, for o = (row, step, edges, verdict)."""
    out = differences.columns(form, count)

    @device
    def entry(row, o, phi):
        return intrinsics.plus(cost(phi, 1.0, row.rho) if of_lengths else phi, o[3])

    @device
    def own(row, o, e, phi):
        for k in range(count):
            phi[k] = entry(row, o, phi[k])
        out.put_own(o[0], o[1], e, o[2], phi)

    @device
    def one(row, o, e, phi):
        out.put_one(o[0], o[1], e, o[2], entry(row, o, phi))

    return Taker(own=own, one=one, summed=False)
