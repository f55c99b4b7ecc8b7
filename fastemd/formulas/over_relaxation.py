"""Over-relaxation of Sinkhorn's iteration: the step rule of one row, a plain function of numbers.

The speed of a row is the factor mu by which an iteration shrinks its error, on average over a window of iterations. The
rule trusts it once two windows in a row agree. For an iteration over-relaxed by omega, Young's relation gives the
factor eta of the plain iteration, ``(mu + omega - 1) ** 2 == mu * omega ** 2 * eta``, and eta gives the best omega. If
the error does not fall over two windows, or grows to `WORSE` times its size when omega was set, the row goes back to
plain steps. The next omega goes half as far beyond 1, later ones `BOLDER` times as far whenever windows agree.

`fastemd.cpu.entropic.solver.OverRelaxation` is this rule for many rows at once, in numpy. CUDA compiles `adapt`. A test
compares the two.
"""

import math
from typing import Any

WINDOW = 3  # iterations of the shortest window; LONGER / (2 - omega) are added
LONGER = 1.0
AGREED = 0.4  # largest difference of two speeds that agree, relative to 1 - mu
FLAT = 1e-9  # a speed that is less than this below 1 is that of an error that does not fall: rounding decides the rest
WORSE = 20.0
BOLDER = 1.5
LARGEST_OMEGA = 1.99
FIRST_WINDOW = 2.0  # iteration at which the first window starts


def adapt(
    count: Any,
    error: Any,
    omega: Any,
    start: Any,
    window: Any,
    start_error: Any,
    speed: Any,
    error_limit: Any,
    largest_omega: Any,
) -> Any:
    """Return omega and all arguments after it, updated for iteration `count` and its marginal error.

    Parameters
    ----------
    count, error : float
        Number of the iteration, and the marginal error after it.
    omega : float
        Over-relaxation of the iteration.
    start, window, start_error : float
        First iteration of the current window, its number of iterations, and the error at its start.
    speed : float
        Speed of the window before; inf for none.
    error_limit : float
        Error above which omega has done harm.
    largest_omega : float
        Upper bound of the next omega.
    """
    if start == count:
        start_error = error
    harm = error > error_limit
    if start + window > count and not harm:
        return omega, start, window, start_error, speed, error_limit, largest_omega
    mu = (error / start_error) ** (1.0 / window)
    harm = harm or (1.0 - mu <= FLAT and omega > 1.0 and 1.0 - speed <= FLAT and speed < math.inf)
    best = omega
    if harm:
        best, largest_omega = 1.0, 1.0 + 0.5 * (omega - 1.0)
    elif abs(mu - speed) < AGREED * (1.0 - mu) and omega - 1.0 < mu and 1.0 - mu > FLAT:
        eta = min((mu + omega - 1.0) ** 2 / (mu * omega * omega), 1.0)
        best = min(2.0 / (1.0 + math.sqrt(1.0 - eta)), largest_omega)
        largest_omega = min(LARGEST_OMEGA, 1.0 + BOLDER * (largest_omega - 1.0))
    if best == 1.0:
        error_limit = math.inf
    elif best != omega:
        error_limit = WORSE * error
    window = WINDOW + float(int(LONGER / (2.0 - best)))
    start = count
    speed = mu
    if best != omega:
        speed = math.inf
        start = count + float(int(0.5 * window))
    return best, start, window, error, speed, error_limit, largest_omega
