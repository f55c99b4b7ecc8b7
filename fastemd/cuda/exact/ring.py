"""The ring: prefix sums less the circulation that makes the flow cheapest.

The prefix sums of a row wait in scratch while the circulation is looked for: the weighted median at rho = 1, the
weighted mean at rho = 2, else the zero of the sum of slopes. All members of a team follow the same search, since sums
over the team have the same bits for each.
"""

import math
from typing import NamedTuple

import numpy as np

from ...formulas.edge import cost, sign, slope
from ..primitives.intrinsics import device
from . import path
from .sweeps import Room

EPSILON = 2.0**-52


COLUMNS = 8


class Layout(NamedTuple):
    """The addresses of the lengths of the edges, interleaved and in order, and the length of the whole ring."""

    lengths: int
    in_order: int
    reach: float


def items(arrays, n):
    """As in `chain`."""
    return n, n


def prepare(arrays, n, team):
    """As in `chain`."""
    length = np.asarray(arrays.length, np.float64)
    return (path.interleaved(length, team, 0.0), length), (float(length.sum()),)


@device
def length_at(row, e):
    """The length of an edge."""
    return path.LENGTHS.read(row.space.in_order + 8 * e)


def room(source, team, scratch):
    """The sweeps of a ring; see `fastemd.cuda.exact.sweeps`. Its state is `circulation`'s answer and `idle_slope`'s."""
    count, tile = team.columns, team.tile
    get, put = scratch.get, scratch.put
    circulation, idle_slope = searches(team, get)

    @device
    def prefixes(row, phi):
        """Leave the prefix sums in scratch; return the balance and the mass met."""
        balance = mass = 0.0
        for first in range(0, row.n, tile):
            own = first + count * team.member()
            met = source.own(row.source, own, row.n, phi)
            for k in range(1, count):
                phi[k] += phi[k - 1]
            before, whole = team.scan(phi[count - 1])
            before += balance
            for k in range(count):
                if own + k < row.n:
                    put(row.slot, own + k, before + phi[k])
            balance += whole
            mass += team.total(met)
        team.meet()
        return balance, mass

    @device
    def flows(row, state, first, carry, phi):
        for k in range(count):
            e = first + count * team.member() + k
            phi[k] = get(row.slot, e) - state[0] if e < row.n else 0.0
        return carry, 0.0

    @device
    def slope_of(row, state, phi, length):
        c, other, share, idle = state
        if row.rho == 1.0:
            return idle * length if phi == 0.0 else slope(phi, length, row.rho)
        if row.rho == 2.0:
            return slope(phi, length, row.rho)
        return (1.0 - share) * slope(phi, length, row.rho) + share * slope(phi + (c - other), length, row.rho)

    along = path.path(team, flows, slope_of)

    @device
    def value(row, phi):
        found = prefixes(row, phi)
        c, other, share = circulation(row)
        total = 0.0
        for e in range(team.member(), row.n, team.size):
            total += cost(get(row.slot, e) - c, length_at(row, e), row.rho)
        state = (c, other, share, 0.0)
        flows(row, state, 0, 0.0, phi)
        return team.total(total), found, state

    @device
    def potential(row, phi):
        found = prefixes(row, phi)
        c, other, share = circulation(row)
        idle = idle_slope(row, c) if row.rho == 1.0 else 0.0
        state = (c, other, share, idle)
        total = lowered = 0.0
        for first in range(0, row.n, tile):
            flows(row, state, first, 0.0, phi)
            paid, _, potentials = along.tally(row, state, first, phi)
            total += team.total(paid)
            lowered += team.total(potentials)
        if row.n <= tile:
            along.turn(row, state, 0, 0.0, phi)
        return total, found, state, lowered / row.n, 0.0

    return Room(value=value, potential=potential, visiting=along.visiting, listing=along.listing)


def searches(team, get):
    """The functions that find a row's circulation, and the slope of its edges without flow."""
    total, least, most, anyone = team.total, team.least, team.most, team.anyone

    @device
    def extremes(row):
        low, high = math.inf, -math.inf
        for e in range(team.member(), row.n, team.size):
            prefix = get(row.slot, e)
            low = prefix if prefix < low else low
            high = prefix if prefix > high else high
        return least(low), most(high)

    @device
    def median(row):
        """The smallest prefix sum that, with those below it, holds half of the total length, as the CPU finds it.

        It lies between `low` and `high`, prefix sums themselves. Each pass weighs what lies up to a pivot and moves one
        end past it. What rounding may take from a sum of n lengths is allowed for.
        """
        low, high = extremes(row)
        reach = row.space.reach
        half = reach * (0.5 - row.n * EPSILON)
        under, upto = 0.0, reach
        count = 0
        while anyone(low < high):
            count += 1
            pivot = low + (high - low) * (0.5 if count % 3 == 0 else (half - under) / (upto - under))
            if not low <= pivot < high:
                pivot = low
            weight, below, above = 0.0, low, high
            for e in range(team.member(), row.n, team.size):
                prefix = get(row.slot, e)
                if prefix <= pivot:
                    weight += length_at(row, e)
                    below = prefix if prefix > below else below
                else:
                    above = prefix if prefix < above else above
            weight, below, above = total(weight), most(below), least(above)
            if low < high:
                if half <= weight:
                    high, upto = below, weight
                else:
                    low, under = above, weight
        return high

    @device
    def mean(row):
        moment = 0.0
        for e in range(team.member(), row.n, team.size):
            moment += get(row.slot, e) * length_at(row, e)
        return total(moment) / row.space.reach

    @device
    def slopes(row, c):
        """The sum of the slopes at circulation c, which falls as c grows."""
        found = 0.0
        for e in range(team.member(), row.n, team.size):
            found += slope(get(row.slot, e) - c, length_at(row, e), row.rho)
        return total(found)

    @device
    def root(row):
        """Where the sum of slopes is 0: the closest c, the end beyond the zero, and the share of its slopes.

        By Chandrupatla's method, as on the CPU: inverse quadratic steps inside a bracket, or halving.

        Chandrupatla, A new hybrid quadratic/bisection algorithm for finding the zero of a nonlinear function without
        using derivatives, Advances in Engineering Software 28 (1997) 145-149.
        """
        x2, x1 = extremes(row)
        f1, f2 = slopes(row, x1), slopes(row, x2)
        x3, f3 = x2, f2
        enough = EPSILON * (abs(x1) + abs(x2))
        step = 0.5
        undone = enough < abs(x2 - x1)
        while anyone(undone):
            x = x1 + step * (x2 - x1) if undone else x1
            f = slopes(row, x)
            if undone:
                if sign(f) == sign(f1):
                    x3, f3 = x1, f1
                else:
                    x3, f3, x2, f2 = x2, f2, x1, f1
                x1, f1 = x, f
                width = abs(x2 - x1)
                undone = enough < width and abs(f1) > 0.0 and abs(f2) > 0.0
            if undone:
                step = bracketed(x1, x2, x3, f1, f2, f3, 0.5 * enough / width)
        if abs(f1) < abs(f2):
            near, far, c, other = f1, f2, x1, x2
        else:
            near, far, c, other = f2, f1, x2, x1
        share = near / (near - far) if abs(near - far) > 0.0 else 0.0
        return c, other, share

    @device
    def circulation(row):
        """The circulation, 0 where no edge has a length; and, as `root`, another one and the share of its slopes."""
        c = other = share = 0.0
        if row.space.reach > 0.0:
            if row.rho == 1.0:
                c = other = median(row)
            elif row.rho == 2.0:
                c = other = mean(row)
            else:
                c, other, share = root(row)
        return c, other, share

    @device
    def idle_slope(row, c):
        """At rho = 1, the slope per length of the edges without flow that makes all slopes sum to 0."""
        missing = idle = 0.0
        for e in range(team.member(), row.n, team.size):
            phi = get(row.slot, e) - c
            length = length_at(row, e)
            missing -= slope(phi, length, 1.0)
            idle += length if phi == 0.0 else 0.0
        missing, idle = total(missing), total(idle)
        return missing / idle if idle > 0.0 else 0.0

    return circulation, idle_slope


@device
def bracketed(x1, x2, x3, f1, f2, f3, least):
    """How far to step from x1 towards x2: by an inverse quadratic through three points where that is safe, or half."""
    xi, phi = (x1 - x2) / (x3 - x2), (f1 - f2) / (f3 - f2)
    step = 0.5
    if phi * phi < xi and (1.0 - phi) * (1.0 - phi) < 1.0 - xi:
        step = f1 / (f2 - f1) * f3 / (f2 - f3) + (x3 - x1) / (x2 - x1) * f1 / (f3 - f1) * f2 / (f3 - f2)
    return min(max(step, least), 1.0 - least)
