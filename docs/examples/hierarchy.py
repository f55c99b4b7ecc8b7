"""
A hierarchical classifier
=========================

Some mistakes are worse than others. The classes here are written digits, and a tree, the linkage of their mean images,
says which of them look alike. A net is trained with cross entropy, and with the Earth Mover's Distance on the tree.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy.cluster.hierarchy import linkage
from sklearn.datasets import load_digits

import fastemd as fe
from fastemd.torch import EMDLoss

digits = load_digits()
x = torch.from_numpy((digits.data / 16.0).astype(np.float32))
y = torch.from_numpy(digits.target)
rng = np.random.default_rng(0)
order = rng.permutation(len(x))
train, test = order[:300], order[300:]

# %%
# The tree of the digits: leaves that join low look alike.
means = np.array([digits.data[train][digits.target[train] == digit].mean(axis=0) for digit in range(10)])
tree = fe.Tree.from_linkage(linkage(means, "average"))
figure, ax = plt.subplots(figsize=(5.5, 3.2), layout="constrained")
fe.plot.space(tree, labels=[str(digit) for digit in range(10)], ax=ax)
far = tree.cost_matrix()


# %%
# Both losses together: cross entropy to be right, the Earth Mover's Distance to be wrong by little.
def trained(criterion):
    """A small net, trained on 300 digits with noise."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(150):
        optimizer.zero_grad()
        noisy = x[train] + 0.3 * torch.randn(len(train), 64)
        criterion(net(noisy), y[train]).backward()
        optimizer.step()
    return net


cross_entropy, emd = torch.nn.CrossEntropyLoss(), EMDLoss(tree, rho=1.5)
scale = 1.0 / tree.diameter
losses = {
    "cross entropy": cross_entropy,
    "cross entropy + EMD": lambda logits, target: cross_entropy(logits, target) + scale * emd(logits, target),
    "EMD": emd,
}
torch.manual_seed(1)
noisy = x[test] + 0.3 * torch.randn(len(test), 64)
for name, criterion in losses.items():
    predicted = trained(criterion)(noisy).detach().argmax(dim=1).numpy()
    cost = far[predicted, digits.target[test]]
    wrong = predicted != digits.target[test]
    print(f"{name:>20}: {100 * wrong.mean():.1f} % wrong, mean distance on the tree {cost.mean():.3f}")
