"""
Ordinal regression in torch
===========================

How far has a disease come, on a scale of ten steps? Cross entropy takes every wrong step for equally wrong. The Earth
Mover's Distance on a chain pays for how far off a prediction is. The data are scikit-learn's diabetes study.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_diabetes
from sklearn.model_selection import KFold

import fastemd as fe
from fastemd.torch import EMDLoss

STEPS, HIDDEN = 10, 64
x, progress = load_diabetes(return_X_y=True)
x = torch.from_numpy((x / x.std(axis=0)).astype(np.float32))
step = np.searchsorted(np.quantile(progress, np.arange(1, STEPS) / STEPS), progress)
y = torch.from_numpy(step)
print(f"{len(x)} patients")

# %%
# A linear model, and a net that is large enough to learn the patients by heart.
models = {
    "linear": lambda: torch.nn.Linear(x.shape[1], STEPS),
    "net": lambda: torch.nn.Sequential(
        torch.nn.Linear(x.shape[1], HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, STEPS)
    ),
}
losses = {
    "cross entropy": torch.nn.CrossEntropyLoss(),
    "EMD, rho = 1": EMDLoss(fe.Chain(STEPS), rho=1),
    "EMD, rho = 2": EMDLoss(fe.Chain(STEPS), rho=2),
}


def trained(make, criterion, rows):
    """A model, trained on some rows."""
    torch.manual_seed(0)
    model = make()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(200):
        optimizer.zero_grad()
        criterion(model(x[rows]), y[rows]).backward()
        optimizer.step()
    return model


# %%
# Five folds for each. The error of a prediction, the median of its shares, is the number of steps it is off.
errors = {(name, loss): [] for name in models for loss in losses}
for rows, others in KFold(5, shuffle=True, random_state=0).split(x):
    for name, loss in errors:
        shares = trained(models[name], losses[loss], rows)(x[others]).detach().softmax(dim=1)
        predicted = (shares.cumsum(dim=1) < 0.5).sum(dim=1)
        errors[name, loss].append((predicted - y[others]).abs().float().mean().item())
for (name, loss), found in errors.items():
    print(f"{name:>6}, {loss:<13}: {np.mean(found):.2f} steps off, folds {min(found):.2f} to {max(found):.2f}")

# %%
# The linear model does as well with cross entropy. The net overfits under cross entropy, and does not at rho = 1.
figure, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
names = [f"{name}, {loss}" for name, loss in errors]
ax.barh(names[::-1], [np.mean(found) for found in errors.values()][::-1], color=["#009E73", "#0072B2", "#9A9A9A"] * 2)
for place, found in enumerate(list(errors.values())[::-1]):
    ax.plot(found, [place] * len(found), "k|", ms=10)
ax.set(xlabel="steps off, mean of the test rows (lines: folds)")
