"""The over-relaxation of Sinkhorn's iteration: the step rule of one row, numbers in, numbers out.

The speed of a row is the factor mu by which an iteration shrinks its error, on average over a window of iterations. It
is believed once two windows in a row agree. Of an iteration over-relaxed by omega, Young's relation then gives the
factor eta of the plain one, ``(mu + omega - 1) ** 2 == mu * omega ** 2 * eta``, and eta gives the best omega. Where the
error does not fall over two windows, or grows to `WORSE` times what it was when omega was set, the row goes back to
plain steps; next time it goes half as far beyond them, then `BOLDER` times as far whenever windows agree.

`fastemd.cpu.entropic.solver.OverRelaxation` is this rule for many rows at once, in numpy. The CUDA backend compiles
`adapt`. A test compares both.
"""

import math
from typing import Any

WINDOW = 3  # iterations over which the speed of convergence is measured; more, by LONGER / (2 - omega)
LONGER = 1.0
AGREED = 0.4  # how far two speeds may differ, in terms of what either is below 1
WORSE = 20.0
BOLDER = 1.5
LAST = 1.99  # the largest over-relaxation
FIRST = 2.0  # the iteration that the first window begins at


def adapt(
    count: Any, error: Any, omega: Any, begin: Any, window: Any, before: Any, speed: Any, limit: Any, most: Any
) -> Any:
    """Return all from `omega` on as they are after iteration `count`, which has left an error.

    A window begins at iteration `begin`, with the error `before`; `speed` is that of the one before. From the error
    `limit` on, omega has done harm; `most` is the largest that it may be.
    """
    if begin == count:
        before = error
    harm = error > limit
    if begin + window > count and not harm:
        return omega, begin, window, before, speed, limit, most
    mu = (error / before) ** (1.0 / window)
    harm = harm or (mu >= 1.0 and omega > 1.0 and 1.0 <= speed < math.inf)
    best = omega
    if harm:
        best, most = 1.0, 1.0 + 0.5 * (omega - 1.0)
    elif abs(mu - speed) < AGREED * (1.0 - mu) and omega - 1.0 < mu < 1.0:
        eta = min((mu + omega - 1.0) ** 2 / (mu * omega * omega), 1.0)
        best = min(2.0 / (1.0 + math.sqrt(1.0 - eta)), most)
        most = min(LAST, 1.0 + BOLDER * (most - 1.0))
    if best == 1.0:
        limit = math.inf
    elif best != omega:
        limit = WORSE * error
    window = WINDOW + float(int(LONGER / (2.0 - best)))
    begin = count
    speed = mu
    if best != omega:
        speed = math.inf
        begin = count + float(int(0.5 * window))
    return best, begin, window, error, speed, limit, most
