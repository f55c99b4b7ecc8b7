"""Products of rows with a matrix, in tiles so small that numpy's linear algebra computes each in the calling thread.

Such libraries split a larger product among threads of their own, which wait for each other in a busy loop. Where a
processor is shared with other work, as it is with our own threads, one of those threads is often suspended, and a
product of 0.14 ms was seen to take 65 ms; in tiles it takes 0.3 ms, and our threads share out the rows. A matrix of
more than `TALL` rows does not stay in cache while tiles of so few rows are computed; there the library computes the
whole product.
"""

import numpy as np

from ... import threads

TILE_COLUMNS = 16  # columns of a tile
SMALL = 1 << 18  # multiplications up to which OpenBLAS computes a product in the calling thread
TALL = 512
MULTIPLICATIONS = 32  # that take as long as one number in `threads.share`


class Tiles:
    """A function of the entries of a matrix (n, k), cut into tiles of `TILE_COLUMNS` columns where it is not tall.

    It is computed a few columns or rows at a time, so no second matrix is made.
    """

    def __init__(self, matrix, function, dtype):
        n, k = matrix.shape
        self.whole = None
        if n > TALL:
            self.whole = np.empty((n, k), dtype)
            for first in range(0, n, TILE_COLUMNS):
                part = slice(first, first + TILE_COLUMNS)
                self.whole[part] = function(matrix[part])
        else:
            self.tiles = np.zeros((-(-k // TILE_COLUMNS), n, TILE_COLUMNS), dtype)
            for tile, first in zip(self.tiles, range(0, k, TILE_COLUMNS), strict=True):
                part = matrix[:, first : first + TILE_COLUMNS]
                tile[:, : part.shape[1]] = function(part)
        self.columns, self.dtype = k, np.dtype(dtype)
        self.step = SMALL // (n * TILE_COLUMNS)

    def product(self, x):
        """Return x @ matrix for rows x (rows, n)."""
        if self.whole is not None:
            return x @ self.whole
        rows, n = x.shape
        out = np.empty((rows, len(self.tiles), TILE_COLUMNS), x.dtype)

        def work(first, last):
            for start in range(first, last, self.step):
                part = slice(start, min(start + self.step, last))
                np.matmul(x[part], self.tiles, out=out[part].swapaxes(0, 1))

        threads.share(work, rows, 8, rows * n * self.columns // MULTIPLICATIONS)
        return out.reshape(rows, -1)[:, : self.columns]


def tiled(cost, least, reg, dtype):
    """Return the Gibbs kernel of cost - least: transposed, plain, and times cost - least, as `Tiles` of a dtype."""

    def kernel(part):
        return np.exp((part - least) / -reg)

    def weighted(part):
        return kernel(part) * (part - least)

    return Tiles(cost.T, kernel, dtype), Tiles(cost, kernel, dtype), Tiles(cost, weighted, dtype)
