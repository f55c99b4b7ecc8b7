"""Products of rows with a matrix, in pieces so small that numpy's linear algebra makes each in the thread that asks.

Such libraries split a larger product among threads of their own, which wait for each other in a busy loop. Where a
processor is shared with other work, as it is with our own threads, one of them is often not there, and a product of
0.14 ms was seen to take 65 ms; in pieces it takes 0.3 ms, and our threads share out the rows. Matrices of more rows
than `TALL` do not stay in cache while pieces of so few rows pass by; there the library makes the whole product.
"""

import numpy as np

from ... import threads

WIDTH = 16  # columns of a tile
SMALL = 1 << 18  # multiplications up to which OpenBLAS makes a product in the calling thread
TALL = 512
LIGHT = 32  # multiplications that take as long as it takes to convert a number


class Tiles:
    """A matrix (n, k), cut into tiles of `WIDTH` columns where it is not tall."""

    def __init__(self, matrix):
        n, k = matrix.shape
        self.whole = np.ascontiguousarray(matrix) if n > TALL else None
        if n <= TALL:
            padded = np.zeros((n, -(-k // WIDTH) * WIDTH), matrix.dtype)
            padded[:, :k] = matrix
            self.tiles = np.ascontiguousarray(padded.reshape(n, -1, WIDTH).swapaxes(0, 1))
        self.columns, self.dtype = k, matrix.dtype
        self.step = SMALL // (n * WIDTH)

    def product(self, x):
        """Return x @ matrix for rows x (rows, n)."""
        if self.whole is not None:
            return x @ self.whole
        rows, n = x.shape
        out = np.empty((rows, len(self.tiles), WIDTH), x.dtype)

        def work(first, last):
            for start in range(first, last, self.step):
                here = slice(start, min(start + self.step, last))
                np.matmul(x[here], self.tiles, out=out[here].swapaxes(0, 1))

        threads.share(work, rows, 8, rows * n * self.columns // LIGHT)
        return out.reshape(rows, -1)[:, : self.columns]


def tiled(*matrices, dtype=np.float64):
    """Return matrices as `Tiles` of a dtype."""
    return tuple([Tiles(matrix.astype(dtype, copy=False)) for matrix in matrices])
