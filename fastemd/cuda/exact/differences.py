"""Loaders of the differences a - b of a row: two histograms, or the softmax of logits and a target."""

import math
from typing import Any

from ...formulas.mass import SMALLEST_MASS
from ..primitives import intrinsics
from ..primitives.intrinsics import VECTOR, DeviceFunctions, cuda, device, types


class Loader(DeviceFunctions):
    """The loads of a row's differences; `inputs` describes the row, and a thread's columns begin at j.

    load_tile(inputs, j, n, d)          store the differences of the thread's columns in d; return their mass
    load_one(inputs, j, n)              the difference and the mass of column j
    load_weights_tile(inputs, j, n, p)  store the weights of the thread's columns in p
    load_weight(inputs, j, n)           the weight of column j

    Columns from n on are 0. The mass is that of the first histogram (of logits: of the target), NaN where an entry is
    negative or NaN. Weights are the masses over which a gradient takes its mean.
    """

    load_tile: Any
    load_one: Any
    load_weights_tile: Any
    load_weight: Any


class Columns(DeviceFunctions):
    """The loads and stores of a row's columns; a row is an address and the step between columns, in bytes.

    load_one(row, step, j, n)       column j, 0 from n on
    load_tile(row, step, j, n, x)   a thread's columns, from j on
    store_one(row, step, j, n, x)   nothing is stored from column n on
    store_tile(row, step, j, n, x)
    """

    load_one: Any
    load_tile: Any
    store_one: Any
    store_tile: Any


def columns(form, count):
    """The `Columns` of rows of a `Format`, where a thread has `count` columns, a multiple of `VECTOR`."""
    size, alignment = form.size, form.alignment
    load, load_four, store, store_four = form.load, form.load_four, form.store, form.store_four

    @device
    def load_one(row, step, j, n):
        if j < n:
            return load(row + j * step)
        return 0.0

    @device
    def load_tile(row, step, j, n, x):
        address = row + j * step
        aligned = step == size and address % alignment == 0
        for k in range(0, count, VECTOR):
            if aligned and j + k + VECTOR <= n:
                x[k], x[k + 1], x[k + 2], x[k + 3] = load_four(address + k * size)
            else:
                for i in range(k, k + VECTOR):
                    x[i] = load_one(row, step, j + i, n)

    @device
    def store_one(row, step, j, n, x):
        if j < n:
            store(row + j * step, x)

    @device
    def store_tile(row, step, j, n, x):
        address = row + j * step
        aligned = step == size and address % alignment == 0
        for k in range(0, count, VECTOR):
            if aligned and j + k + VECTOR <= n:
                store_four(address + k * size, x[k], x[k + 1], x[k + 2], x[k + 3])
            else:
                for i in range(k, k + VECTOR):
                    store_one(row, step, j + i, n, x[i])

    return Columns(load_one=load_one, load_tile=load_tile, store_one=store_one, store_tile=store_tile)


@device
def _checked_mass(a, b):
    """The mass a; NaN where a or b is negative or NaN."""
    return a if a >= 0.0 and b >= 0.0 else math.nan


def histograms_loader(a_form, b_form, normalized, weights_of_b, count):
    """The `Loader` of two histograms: inputs = (row a, step, row b, step, 1 / mass of a, 1 / mass of b).

    `normalized` says of either whether it is multiplied by its factor; weights are those of a, or of b under
    `weights_of_b`.
    """
    a_columns, b_columns = columns(a_form, count), columns(b_form, count)
    a_normalized, b_normalized = normalized

    @device
    def difference(inputs, a, b):
        if a_normalized:
            a *= inputs[4]
        if b_normalized:
            b *= inputs[5]
        return intrinsics.plus(a, -b)

    @device
    def load_tile(inputs, j, n, d):
        b = cuda.local.array(count, types.float64)
        a_columns.load_tile(inputs[0], inputs[1], j, n, d)
        b_columns.load_tile(inputs[2], inputs[3], j, n, b)
        mass = 0.0
        for k in range(count):
            mass += _checked_mass(d[k], b[k])
            d[k] = difference(inputs, d[k], b[k])
        return mass

    @device
    def load_one(inputs, j, n):
        a = a_columns.load_one(inputs[0], inputs[1], j, n)
        b = b_columns.load_one(inputs[2], inputs[3], j, n)
        return difference(inputs, a, b), _checked_mass(a, b)

    @device
    def load_weight(inputs, j, n):
        if weights_of_b:
            return b_columns.load_one(inputs[2], inputs[3], j, n) * inputs[5]
        return a_columns.load_one(inputs[0], inputs[1], j, n) * inputs[4]

    @device
    def load_weights_tile(inputs, j, n, p):
        for k in range(count):
            p[k] = load_weight(inputs, j + k, n)

    return Loader(load_tile=load_tile, load_one=load_one, load_weights_tile=load_weights_tile, load_weight=load_weight)


def logits_loader(z_form, target_form, classes, normalized, group):
    """The `Loader` of p = softmax(z) less a target.

    inputs = (row z, step, row of the target or class, step, 1 / mass of the target, largest logit, 1 / sum of the
    exponentials, exponentials of a thread's columns). A row of one tile computes its exponentials once, and keeps them
    there.
    """
    count, tile = group.columns, group.tile
    z_columns = columns(z_form, count)
    target_columns = None if classes else columns(target_form, count)
    exponentials_of = tile_exponentials(z_form, count)

    @device
    def target_one(inputs, j, n):
        if classes:
            return 1.0 if j == inputs[2] else 0.0
        x = target_columns.load_one(inputs[2], inputs[3], j, n)
        if normalized:
            x *= inputs[4]
        return x

    @device
    def target_tile(inputs, j, n, x):
        if classes:
            for k in range(count):
                x[k] = 1.0 if j + k == inputs[2] else 0.0
        else:
            target_columns.load_tile(inputs[2], inputs[3], j, n, x)
            if normalized:
                for k in range(count):
                    x[k] *= inputs[4]

    @device
    def load_exponentials(inputs, j, n):
        if n > tile:
            exponentials_of(inputs[0], inputs[1], j, n, inputs[5], inputs[7])

    @device
    def load_tile(inputs, j, n, d):
        exponentials = inputs[7]
        load_exponentials(inputs, j, n)
        target_tile(inputs, j, n, d)
        mass = 0.0
        for k in range(count):
            mass = intrinsics.plus(mass, _checked_mass(d[k], d[k]))
            d[k] = intrinsics.plus(exponentials[k] * inputs[6], -d[k])
        return mass

    @device
    def load_weight(inputs, j, n):
        exponential = 0.0
        if j < n:
            exponential = math.exp(z_columns.load_one(inputs[0], inputs[1], j, n) - inputs[5])
        return exponential * inputs[6]

    @device
    def load_one(inputs, j, n):
        x = target_one(inputs, j, n)
        return intrinsics.plus(load_weight(inputs, j, n), -x), _checked_mass(x, x)

    @device
    def load_weights_tile(inputs, j, n, p):
        exponentials = inputs[7]
        load_exponentials(inputs, j, n)
        for k in range(count):
            p[k] = exponentials[k] * inputs[6]

    return Loader(load_tile=load_tile, load_one=load_one, load_weights_tile=load_weights_tile, load_weight=load_weight)


def tile_exponentials(z_form, count):
    """The function that stores exp(logit - top) of a thread's columns in `exponentials`, and returns their sum."""
    z_columns = columns(z_form, count)

    @device
    def exponentials_of(row, step, j, n, top, exponentials):
        z_columns.load_tile(row, step, j, n, exponentials)
        total = 0.0
        for k in range(count):
            exponentials[k] = math.exp(exponentials[k] - top) if j + k < n else 0.0
            total = intrinsics.plus(total, exponentials[k])
        return total

    return exponentials_of


def tile_maximum(form, count):
    """The function that returns the largest of `top` and a thread's logits, which it stores in x."""
    logits = columns(form, count)

    @device
    def maximum(row, step, j, n, top, x):
        logits.load_tile(row, step, j, n, x)
        for k in range(count):
            if j + k < n and not x[k] <= top:
                top = x[k]
        return top

    return maximum


def tile_mass(form, count):
    """The function that returns the mass of a thread's columns, which it stores in x."""
    masses = columns(form, count)

    @device
    def mass_of(row, step, j, n, x):
        masses.load_tile(row, step, j, n, x)
        mass = 0.0
        for k in range(count):
            mass += _checked_mass(x[k], x[k])
        return mass

    return mass_of


@device
def inverse_mass(mass):
    """1 / mass; NaN where the row cannot be divided by it."""
    return 1.0 / mass if SMALLEST_MASS <= mass < math.inf else math.nan


def row_inverse_mass(form, group):
    """The function that returns the `inverse_mass` of a row."""
    mass_of = tile_mass(form, group.columns)

    @device
    def inverse_mass_of(row, step, n, x):
        mass = 0.0
        for first in range(0, n, group.tile):
            mass += group.sum(mass_of(row, step, first + group.columns * group.rank(), n, x))
        return inverse_mass(mass)

    return inverse_mass_of


def row_softmax(form, group):
    """The function that returns the largest logit of a row, and 1 / sum of exp(logit - largest).

    It leaves the exponentials of the thread's columns of the last tile in `exponentials`.
    """
    maximum, exponentials_of = tile_maximum(form, group.columns), tile_exponentials(form, group.columns)

    @device
    def softmax(row, step, n, exponentials):
        top = -math.inf
        for first in range(0, n, group.tile):
            top = maximum(row, step, first + group.columns * group.rank(), n, top, exponentials)
        top = group.max(top)
        total = 0.0
        for first in range(0, n, group.tile):
            j = first + group.columns * group.rank()
            total += group.sum(exponentials_of(row, step, j, n, top, exponentials))
        return top, 1.0 / total

    return softmax
