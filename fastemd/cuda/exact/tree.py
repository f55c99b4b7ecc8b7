"""The tree: a walk around it, as a row of tokens.

The walk goes depth first around the contracted tree and meets every bin once and every edge above an inner node twice:
on the way down (it *opens*) and on the way back (it *closes*). So it is a path, whatever the shape or the depth of the
tree, and prefix sums along it are all there is to do, in tiles, as on a chain:

- The flow over an edge is what the differences of the bins between its two tokens add up to: the prefix sum where it
  closes less that where it opened. Where none of these bins holds a difference it is exactly 0, which rounding in the
  two prefix sums would hide; so the last token with a difference is followed along.
- The potential of a bin is the sum of the slopes of the edges that are open there: a slope is added where its edge
  opens and taken off where it closes.

A slot of scratch for each inner edge holds the prefix sum from its opening to its closing, and from then on its slope
(or its flow). Trailing tokens stand for nothing, so that there are whole tiles.
"""

from typing import Any

from ...formulas.edge import cost, slope
from ..primitives import intrinsics
from ..primitives.intrinsics import Parts, cuda, device, types
from . import path
from .euler_tour import BIN, CLOSE, KIND, OPEN, Layout, items, number_of, prepare
from .sweeps import Room, Stages

__all__ = ["Layout", "items", "prepare", "room", "stages"]

COLUMNS = 8


class Tile(Parts):
    """What the threads of a team do to the tile of tokens that begins at `first`.

    survey(row, first, token, length, touched, phi)
        Puts what the tokens are into `token` and `length`, prefix sums along them into phi, and into `touched` which
        token last held a difference. Returns the mass met, and the costs and slopes of the edges that bins hang by.
    opens(row, token, before, phi)
        Leaves in scratch the prefix sums where edges open; `before` is what stands before the thread's tokens.
    closing(keep_slopes)
        close(row, first, token, length, touched, before, earlier, paid, together, phi): finds the flows of the edges
        that close, and leaves these or their slopes in scratch; returns the costs `paid` and the slopes `together`,
        theirs added. `earlier` is the last token with a difference before the thread's.
    lift(row, first, token, phi)
        Puts potentials into phi, relative to the first of the thread's tokens; returns that behind the last.
    passing(consume)
        What `visiting` does to a tile, with the height that it begins at; also returns that of the next.
    noting(emit)
        What `listing` does to a tile.
    """

    survey: Any
    opens: Any
    closing: Any
    lift: Any
    passing: Any
    noting: Any


def tile_of(source, team, scratch):
    """The `Tile` of a source, a team and the place of its slots."""
    get, put = scratch.get, scratch.put
    count, lengths_of = team.columns, path.lengths_for(team)

    @device
    def own_of(array, first, found):
        """Fill `found` with a thread's entries of an array of int32 in the tile that begins at `first`."""
        here = array + 4 * (first + team.member())
        for k in range(count):
            found[k] = intrinsics.load(here + 4 * k * team.size, types.int32)

    @device
    def survey(row, first, token, length, touched, phi):
        own_of(row.space.codes, first, token)
        lengths_of(row.space.lengths, first, length)
        mass = paid = together = upto = 0.0
        latest = -1.0
        for k in range(count):
            if token[k] & KIND == BIN:
                d, met = source.one(row.source, number_of(token[k]), row.n)
                mass = intrinsics.plus(mass, met)
                paid = intrinsics.plus(paid, cost(d, length[k], row.rho))
                together = intrinsics.plus(together, slope(d, length[k], row.rho))
                upto += d
                if d != 0.0:
                    latest = float(first + count * team.member() + k)
            phi[k] = upto
            touched[k] = latest
        return mass, paid, together

    @device
    def opens(row, token, before, phi):
        for k in range(count):
            if token[k] & KIND == OPEN:
                put(row.slot, number_of(token[k]), before + phi[k])

    def closing(keep_slopes):
        @device
        def close(row, first, token, length, touched, before, earlier, paid, together, phi):
            under = cuda.local.array(count, types.int32)
            opener = cuda.local.array(count, types.int32)
            own_of(row.space.since, first, opener)
            if keep_slopes:
                own_of(row.space.below, first, under)
            for k in range(count):
                if token[k] & KIND == CLOSE:
                    edge = number_of(token[k])
                    flow = 0.0
                    if max(earlier, touched[k]) > opener[k]:
                        flow = before + phi[k] - get(row.slot, edge)
                    paid = intrinsics.plus(paid, cost(flow, length[k], row.rho))
                    if keep_slopes:
                        flow = slope(flow, length[k], row.rho)
                        together = intrinsics.plus(together, flow * under[k])
                    put(row.slot, edge, flow)
            return paid, together

        return close

    @device
    def lift(row, first, token, phi):
        length = cuda.local.array(count, types.float64)
        own_of(row.space.codes, first, token)
        lengths_of(row.space.lengths, first, length)
        upto = 0.0
        for k in range(count):
            kind, number = token[k] & KIND, number_of(token[k])
            phi[k] = upto
            if kind == OPEN:
                upto += get(row.slot, number)
            elif kind == CLOSE:
                upto -= get(row.slot, number)
            elif kind == BIN:
                difference, _ = source.one(row.source, number, row.n)
                phi[k] = intrinsics.plus(upto, slope(difference, length[k], row.rho))
        return upto

    def passing(consume):
        @device
        def pass_by(row, o, first, height, phi):
            token = cuda.local.array(count, types.int32)
            before, whole = team.scan(lift(row, first, token, phi))
            before += height
            found = 0.0
            for k in range(count):
                if token[k] & KIND == BIN:
                    found = intrinsics.plus(found, consume.one(row, o, number_of(token[k]), before + phi[k]))
            return found, height + whole

        return pass_by

    def noting(emit):
        @device
        def note(row, o, first, phi):
            token = cuda.local.array(count, types.int32)
            own_of(row.space.edges, first, token)
            for k in range(count):
                kind, number = token[k] & KIND, number_of(token[k])
                flow = 0.0
                if kind == BIN:
                    flow, _ = source.one(row.source, number, row.n)
                elif kind == OPEN:
                    flow = get(row.slot, number)
                emit.one(row, o, first + count * team.member() + k, flow)

        return note

    return Tile(survey=survey, opens=opens, closing=closing, lift=lift, passing=passing, noting=noting)


def room(source, team, scratch):
    """The sweeps of a tree; see `fastemd.cuda.exact.sweeps`."""
    count, tile, on = team.columns, team.tile, tile_of(source, team, scratch)

    def climbing(keep_slopes):
        """The sweep that finds the flows of inner edges, and leaves these or their slopes in scratch."""
        close = on.closing(keep_slopes)

        @device
        def climb(row, phi):
            token = cuda.local.array(count, types.int32)
            length = cuda.local.array(count, types.float64)
            touched = cuda.local.array(count, types.float64)
            total = balance = mass = potentials = 0.0
            latest = -1.0
            for first in range(0, row.space.tokens, tile):
                met, paid, together = on.survey(row, first, token, length, touched, phi)
                before, whole = team.scan(phi[count - 1])
                before += balance
                earlier, newest = team.latest(touched[count - 1])
                earlier = max(earlier, latest)
                on.opens(row, token, before, phi)
                team.meet()
                paid, together = close(row, first, token, length, touched, before, earlier, paid, together, phi)
                balance += whole
                latest = max(latest, newest)
                paid, met, together, _ = team.totals(paid, met, together, 0.0)
                total, mass, potentials = total + paid, mass + met, potentials + together
            team.meet()
            return total, (balance, mass), potentials

        return climb

    keep_flows, keep_slopes = climbing(False), climbing(True)

    @device
    def value(row, phi):
        total, found, _ = keep_flows(row, phi)
        return total, found, 0.0

    @device
    def potential(row, phi):
        total, found, potentials = keep_slopes(row, phi)
        return total, found, 0.0, potentials / row.n, 0.0

    def visiting(consume):
        pass_by, summed = on.passing(consume), consume.summed

        @device
        def visit(row, state, o, phi):
            height = found = 0.0
            for first in range(0, row.space.tokens, tile):
                mine, height = pass_by(row, o, first, height, phi)
                if summed:
                    found += team.total(mine)
            return found

        return visit

    def listing(emit):
        note = on.noting(emit)

        @device
        def edges_of(row, state, o, phi):
            for first in range(0, row.space.count, tile):
                note(row, o, first, phi)

        return edges_of

    return Room(value=value, potential=potential, visiting=visiting, listing=listing)


def stages(source, team, scratch):
    """What is done to a tree by many blocks; see `fastemd.cuda.exact.sweeps`."""
    count, on = team.columns, tile_of(source, team, scratch)

    @device
    def measure(row, first, phi):
        token = cuda.local.array(count, types.int32)
        length = cuda.local.array(count, types.float64)
        touched = cuda.local.array(count, types.float64)
        met, _, _ = on.survey(row, first, token, length, touched, phi)
        _, whole = team.scan(phi[count - 1])
        _, newest = team.latest(touched[count - 1])
        return whole, met, newest

    @device
    def opening(row, first, carry, phi):
        token = cuda.local.array(count, types.int32)
        length = cuda.local.array(count, types.float64)
        touched = cuda.local.array(count, types.float64)
        on.survey(row, first, token, length, touched, phi)
        before, _ = team.scan(phi[count - 1])
        on.opens(row, token, before + carry.balance, phi)

    def climbing(keep_slopes):
        close = on.closing(keep_slopes)

        @device
        def climb(row, first, carry, phi):
            token = cuda.local.array(count, types.int32)
            length = cuda.local.array(count, types.float64)
            touched = cuda.local.array(count, types.float64)
            _, paid, together = on.survey(row, first, token, length, touched, phi)
            before, _ = team.scan(phi[count - 1])
            before += carry.balance
            earlier, _ = team.latest(touched[count - 1])
            earlier = max(earlier, carry.latest)
            return close(row, first, token, length, touched, before, earlier, paid, together, phi)

        return climb

    keep_flows, keep_slopes = climbing(False), climbing(True)

    @device
    def value(row, first, carry, phi):
        return keep_flows(row, first, carry, phi)[0]

    @device
    def potential(row, first, carry, phi):
        paid, potentials = keep_slopes(row, first, carry, phi)
        return paid, 0.0, potentials, 0.0

    @device
    def lifting(row, first, phi):
        token = cuda.local.array(count, types.int32)
        return team.scan(on.lift(row, first, token, phi))[1]

    def visiting(consume):
        pass_by = on.passing(consume)

        @device
        def visit(row, o, first, carry, phi):
            return pass_by(row, o, first, carry.drop, phi)[0]

        return visit

    def listing(emit):
        note = on.noting(emit)

        @device
        def edges_of(row, o, first, carry, phi):
            note(row, o, first, phi)

        return edges_of

    return Stages(
        measure=measure,
        opening=opening,
        value=value,
        potential=potential,
        lifting=lifting,
        visiting=visiting,
        listing=listing,
    )
