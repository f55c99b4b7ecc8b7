"""The cost of one edge: the cost of its flow, and the slope of the cost as the flow grows.

Plain functions of three numbers: `phi` (the signed flow over an edge), `length` (of the edge) and `rho` (the exponent
of the flow, at least 1). Both backends compile these functions: the CPU for eight rows in lanes, CUDA for one thread.

NaN in, NaN out: a NaN flow marks a row that has no answer.
"""


def sign(phi):
    """Return -1, 0 or 1, and NaN for NaN."""
    if phi > 0.0:
        return 1.0
    if phi < 0.0:
        return -1.0
    return phi


def cost(phi, length, rho):
    """Return `length * abs(phi)**rho`, the term of the edge in the value."""
    if rho == 1:
        return length * abs(phi)
    if rho == 2:
        return length * phi * phi
    return length * abs(phi) ** rho


def slope(phi, length, rho):
    """Return the derivative of `cost` with respect to `phi`; at `phi == 0` it is 0, the middle of the subgradients."""
    if rho == 1:
        return length * sign(phi)
    if rho == 2:
        return 2.0 * length * phi
    return rho * length * abs(phi) ** (rho - 1.0) * sign(phi)
