"""The method in plain NumPy: slow, obvious, and the judge of the fast kernels.

Read these files to learn how it works: flows.py, potentials.py, values.py and plans.py, in this order. Sinkhorn's
iteration, in entropic.py, stands by itself.

On a chain or a tree, cutting an edge leaves two sides, and whatever one side holds too much has to cross that edge. So
the flow `phi_e` over every edge is known before anything is optimised,

    phi_e = sum of (a - b) over the bins below edge e            (chain: over bins 0..e)

and moving earth costs each edge its length times its flow, raised to the power `rho`:

    EMD_rho(a, b) = sum_e length_e * |phi_e|**rho                (rho = 1: the Earth Mover's Distance)

A ring has one freedom more: any amount `c` may run round and round. `phi_e = prefix_e - c`, with the cheapest `c`.

One edge's cost grows at the rate of its *slope*, and one grain put on bin v crosses every edge from v to the root, so
the gradient with respect to `a` is the *potential*: the sum of the slopes on the way from v to the root.

    slope_e = rho * length_e * |phi_e|**(rho - 1) * sign(phi_e)        f_v = sum of slope_e between v and the root

`rho` acts on the flow of an edge. It is not the exponent p of a ground cost, as in the Wasserstein distance W_p.

Everything here computes and answers in float64, takes any leading (batch) axes and broadcasts them, reads only a
space's public attributes, and trusts its rows: `fastemd.check` is what looks for NaN, negative and unequal mass.
A row costs O(n) steps, on a ring at `rho = 1` a sort; `plan` costs O(n**2) in the worst case.

References
----------
Martinez, Haurilet, Al-Halah, Tapaswi, Stiefelhagen: Relaxed Earth Mover's Distances for Chain- and Tree-connected
Spaces and their use as a Loss Function in Deep Learning, arXiv:1611.07573 (2016).
"""

from .entropic import sinkhorn, sinkhorn_divergence
from .flows import flow
from .plans import plan
from .potentials import potential
from .values import emd, emd_value_and_grad, emd_with_logits

__all__ = [
    "emd",
    "emd_value_and_grad",
    "emd_with_logits",
    "flow",
    "plan",
    "potential",
    "sinkhorn",
    "sinkhorn_divergence",
]
