"""The ring: prefix sums of the differences less the circulation, the constant that makes the flow cheapest.

Scratch holds the prefix sums of a row during the search for the circulation: the weighted median at rho = 1, the
weighted mean at rho = 2, else the zero of the sum of slopes. All threads of a group follow the same search, since each
gets the same bits of every sum over the group.
"""

import math
from typing import NamedTuple

import numpy as np

from ...formulas.edge import cost, sign, slope
from ..primitives.intrinsics import device
from ..primitives.memory import DOUBLE
from .path import interleaved, path_functions
from .sweeps import Sweeps

EPSILON = 2.0**-52
COLUMNS = 8


class Layout(NamedTuple):
    """The addresses of the lengths of the edges, interleaved and in order, and the length of the ring."""

    lengths: int
    in_order: int
    perimeter: float


def columns(arrays, n):
    """As in `chain`."""
    return n


def slots(arrays, n, group):
    """As in `chain`."""
    return n


def prepare(arrays, n, group):
    """As in `chain`."""
    length = np.asarray(arrays.length, np.float64)
    return (interleaved(length, group, 0.0), length), (float(length.sum()),)


@device
def length_at(row, e):
    """The length of an edge."""
    return DOUBLE.load(row.space.in_order + 8 * e)


def sweeps(loader, group, scratch):
    """The `Sweeps` of a ring; the state is that of `circulation`, and the `idle_slope`."""
    count, tile = group.columns, group.tile
    load, store = scratch.load, scratch.store
    circulation, idle_slope = circulation_functions(group, load)

    @device
    def prefixes(row, phi):
        """Store the prefix sums in scratch; return the balance and the mass."""
        balance = mass = 0.0
        for first in range(0, row.n, tile):
            begin = first + count * group.rank()
            tile_mass = loader.load_tile(row.inputs, begin, row.n, phi)
            for k in range(1, count):
                phi[k] += phi[k - 1]
            before, tile_balance = group.scan(phi[count - 1])
            before += balance
            for k in range(count):
                if begin + k < row.n:
                    store(row.scratch, begin + k, before + phi[k])
            balance += tile_balance
            mass += group.sum(tile_mass)
        group.sync()
        return balance, mass

    @device
    def flows(row, state, first, carry, phi):
        for k in range(count):
            e = first + count * group.rank() + k
            phi[k] = load(row.scratch, e) - state[0] if e < row.n else 0.0
        return carry, 0.0

    @device
    def slope_of(row, state, phi, length):
        c, other, share, idle = state
        if row.rho == 1.0:
            return idle * length if phi == 0.0 else slope(phi, length, row.rho)
        if row.rho == 2.0:
            return slope(phi, length, row.rho)
        return (1.0 - share) * slope(phi, length, row.rho) + share * slope(phi + (c - other), length, row.rho)

    path = path_functions(group, flows, slope_of)

    @device
    def value(row, phi):
        masses = prefixes(row, phi)
        c, other, share = circulation(row)
        total = 0.0
        for e in range(group.rank(), row.n, group.size):
            total += cost(load(row.scratch, e) - c, length_at(row, e), row.rho)
        state = (c, other, share, 0.0)
        flows(row, state, 0, 0.0, phi)
        return group.sum(total), masses, state

    @device
    def potential(row, phi):
        masses = prefixes(row, phi)
        c, other, share = circulation(row)
        idle = idle_slope(row, c) if row.rho == 1.0 else 0.0
        state = (c, other, share, idle)
        total = potential_sum = 0.0
        for first in range(0, row.n, tile):
            flows(row, state, first, 0.0, phi)
            costs, _, potentials = path.sums(row, state, first, phi)
            total += group.sum(costs)
            potential_sum += group.sum(potentials)
        if row.n <= tile:
            path.to_potentials(row, state, 0, 0.0, phi)
        return total, masses, state, potential_sum / row.n, 0.0

    return Sweeps(value=value, potential=potential, potentials_to=path.potentials_to, flows_to=path.flows_to)


def circulation_functions(group, load):
    """The functions that compute a row's circulation, and the slope of its edges without flow."""

    @device
    def extremes(row):
        low, high = math.inf, -math.inf
        for e in range(group.rank(), row.n, group.size):
            prefix = load(row.scratch, e)
            low = prefix if prefix < low else low
            high = prefix if prefix > high else high
        return group.min(low), group.max(high)

    @device
    def median(row):
        """The smallest prefix sum that, with those below it, holds half of the total length, as the CPU finds it.

        It lies between `low` and `high`, which are prefix sums. Each pass sums the lengths up to a pivot, and moves one
        end past the pivot. The half is less the rounding error of a sum of n lengths.
        """
        low, high = extremes(row)
        perimeter = row.space.perimeter
        half = perimeter * (0.5 - row.n * EPSILON)
        under, upto = 0.0, perimeter
        count = 0
        while group.vote(low < high):
            count += 1
            pivot = low + (high - low) * (0.5 if count % 3 == 0 else (half - under) / (upto - under))
            if not low <= pivot < high:
                pivot = low
            weight, below, above = 0.0, low, high
            for e in range(group.rank(), row.n, group.size):
                prefix = load(row.scratch, e)
                if prefix <= pivot:
                    weight += length_at(row, e)
                    below = prefix if prefix > below else below
                else:
                    above = prefix if prefix < above else above
            weight, below, above = group.sum(weight), group.max(below), group.min(above)
            if low < high:
                if half <= weight:
                    high, upto = below, weight
                else:
                    low, under = above, weight
        return high

    @device
    def mean(row):
        moment = 0.0
        for e in range(group.rank(), row.n, group.size):
            moment += load(row.scratch, e) * length_at(row, e)
        return group.sum(moment) / row.space.perimeter

    @device
    def slopes(row, c):
        """The sum of the slopes at circulation c, which falls as c grows."""
        slope_sum = 0.0
        for e in range(group.rank(), row.n, group.size):
            slope_sum += slope(load(row.scratch, e) - c, length_at(row, e), row.rho)
        return group.sum(slope_sum)

    @device
    def root(row):
        """The zero of the sum of slopes: the nearest c, the end beyond the zero, and the share of the slopes there.

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
        while group.vote(undone):
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
        """The circulation, 0 where no edge has a length; and, as in `root`, another one and the share of its slopes."""
        c = other = share = 0.0
        if row.space.perimeter > 0.0:
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
        for e in range(group.rank(), row.n, group.size):
            phi = load(row.scratch, e) - c
            length = length_at(row, e)
            missing -= slope(phi, length, 1.0)
            idle += length if phi == 0.0 else 0.0
        missing, idle = group.sum(missing), group.sum(idle)
        return missing / idle if idle > 0.0 else 0.0

    return circulation, idle_slope


@device
def bracketed(x1, x2, x3, f1, f2, f3, least):
    """The step from x1 towards x2, of 1: by an inverse quadratic through three points where that is safe, or half."""
    xi, phi = (x1 - x2) / (x3 - x2), (f1 - f2) / (f3 - f2)
    step = 0.5
    if phi * phi < xi and (1.0 - phi) * (1.0 - phi) < 1.0 - xi:
        step = f1 / (f2 - f1) * f3 / (f2 - f3) + (x3 - x1) / (x2 - x1) * f1 / (f3 - f1) * f2 / (f3 - f2)
    return min(max(step, least), 1.0 - least)
