"""
A histogram fitted by gradient descent
======================================

Why relax? At rho = 1 the gradient has the same size near the goal as far from it, and descent overshoots. At rho = 2 it
fades with the flow. The goal is the histogram of grey levels of a photograph, on a chain of 64 bins.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.animation import FuncAnimation
from sklearn.datasets import load_sample_image

import fastemd as fe

BINS, STEPS = 64, 120
grey = load_sample_image("china.jpg").mean(axis=-1)
goal = np.bincount((grey.ravel() / 256 * BINS).astype(int), minlength=BINS) / grey.size
chain = fe.Chain(positions=np.linspace(0.0, 1.0, BINS))


# %%
# Both begin with equal shares. `emd_with_logits` has the gradient by the logits, in one pass.
def descent(rho, rate):
    """The shares after each step, and their exact distance from the goal."""
    logits, seen, distances = np.zeros(BINS), [], []
    for _ in range(STEPS):
        shares = np.exp(logits - logits.max())
        shares /= shares.sum()
        seen.append(shares)
        distances.append(fe.emd(shares, goal, chain))
        logits -= rate * fe.emd_with_logits(logits, goal, chain, rho=rho)[1]
    return np.array(seen), np.array(distances)


exact, exact_distances = descent(1, 20.0)
relaxed, relaxed_distances = descent(2, 200.0)
print(f"after {STEPS} steps: rho = 1 {exact_distances[-1]:.4f}, rho = 2 {relaxed_distances[-1]:.4f}")

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
left.fill_between(range(BINS), goal, step="mid", color="#9A9A9A", label="goal")
lines = [
    left.step(range(BINS), goal, where="mid", color=c, label=n)[0]
    for c, n in (("#0072B2", "rho = 1"), ("#E69F00", "rho = 2"))
]
left.set(xlabel="grey level", ylabel="share", ylim=(0, 1.3 * goal.max()))
left.legend()
for distances, colour in ((exact_distances, "#0072B2"), (relaxed_distances, "#E69F00")):
    right.semilogy(distances, color=colour)
mark = right.axvline(0, color="#404040")
right.set(xlabel="step", ylabel="EMD to the goal")


def draw(step):
    """Show a step of both."""
    for line, seen in zip(lines, (exact, relaxed), strict=True):
        line.set_ydata(seen[step])
    mark.set_xdata([step, step])


animation = FuncAnimation(figure, draw, frames=range(0, STEPS, 4), interval=150)
