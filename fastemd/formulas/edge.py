"""The law of one edge: what a flow costs, and how the cost grows with the flow.

Plain functions of numbers, `phi` (the signed flow over an edge), `length` (of the edge) and `rho` (the exponent of
the flow, at least 1). Each wing compiles these same functions: the CPU for registers of eight rows, CUDA for one
thread. They import nothing, so that both wings can.

NaN in, NaN out: a NaN flow marks a row that has no answer.

The words by which a call asks a kernel of either wing for a gradient stand here too.
"""


def sign(phi):
    """-1, 0 or 1, and NaN for NaN."""
    if phi > 0.0:
        return 1.0
    if phi < 0.0:
        return -1.0
    return phi


def cost(phi, length, rho):
    """`length * abs(phi)**rho`: what the edge adds to the value."""
    if rho == 1:
        return length * abs(phi)
    if rho == 2:
        return length * phi * phi
    return length * abs(phi) ** rho


def slope(phi, length, rho):
    """The derivative of `cost` with respect to `phi`; at `phi == 0` it is 0, the middle of the subgradients."""
    if rho == 1:
        return length * sign(phi)
    if rho == 2:
        return 2.0 * length * phi
    return rho * length * abs(phi) ** (rho - 1.0) * sign(phi)
