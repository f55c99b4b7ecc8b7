"""The Earth Mover's Distance as a loss of PyTorch, with the arguments of its cross entropy.

>>> import torch, fastemd as fe
>>> from fastemd.torch import EMDLoss
>>> logits = torch.zeros(2, 3, requires_grad=True)
>>> loss = EMDLoss(fe.Chain(3))(logits, torch.tensor([0, 2]))
>>> loss.backward()
>>> round(loss.item(), 4)
0.5556
"""

from .loss import EMDLoss, emd_loss

__all__ = ["EMDLoss", "emd_loss"]
