"""`emd_loss` and `EMDLoss`: arguments are checked and rows arranged here; `autograd` computes them.

One kernel computes values and gradients in the forward pass; the backward pass scales the gradients in place. Second
derivatives are those of `second_derivative`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..arrays.inputs import one_of
from ..exact.validation import PLAN_MASSES as MASSES
from ..exact.validation import space_of
from ..spaces.base import Space
from . import validation
from .autograd import loss_of_rows, may_require_grad
from .reduction import Reduction

__all__ = ["EMDLoss", "emd_loss"]


def emd_loss(
    input: Tensor,
    target: Tensor,
    space: Space,
    *,
    rho: float = 2,
    from_logits: bool = True,
    reduction: str = "mean",
    weight: Tensor | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    lengths: Tensor | None = None,
    mass: str = "equal",
    check: bool | None = None,
) -> Tensor:
    """Earth Mover's Distance between predictions and targets, in place of `torch.nn.functional.cross_entropy`.

    Each row costs ``EMD_rho(softmax(input), target) = sum_e length_e * abs(phi_e) ** rho``, phi_e being the flow over
    edge e of the space.

    Parameters
    ----------
    input : Tensor, shape (n,), (N, n) or (N, n, d1, ...)
        Logits of the n classes, in float16, bfloat16, float32 or float64, on the CPU or a CUDA device.
    target : Tensor, shape (), (N,) or (N, d1, ...), or as `input`
        Class indices (int64 or uint8), or histograms of mass 1 in the shape of `input`.
    space : Chain, Ring or Tree
        Where the classes lie: its bins.
    rho : float, optional
        Exponent of the flow, at least 1; 1 is the exact distance. The default is not 1, as for `fastemd.emd`, but 2,
        since this is a loss: the square has gradients that shrink towards the target, and trained best in the paper.
    from_logits : bool, optional
        False: `input` holds probabilities instead, which sum to 1.
    reduction : {"mean", "sum", "none"}, optional
        What is made of the rows. As in cross entropy, the mean over classes divides by the sum of the weights of the
        rows that count, and the mean over soft targets by the number of rows.
    weight : Tensor, shape (n,), optional
        Weight of each class: a row weighs as much as its class or, with a soft target, as its classes on average.
    ignore_index : int, optional
        Rows of this class do not count, and get no gradient.
    label_smoothing : float, optional
        Share of each target that is distributed evenly over all classes.
    lengths : Tensor, shape (m,), optional
        Lengths of the edges, in place of the space's own, and differentiable; above 0 on a chain, else at least 0.
    mass : {"equal", "normalize"}, optional
        "equal": histograms have mass 1, within rounding. "normalize": each is divided by its mass, as labels that were
        rounded to a few digits need; the gradient accounts for it.
    check : bool, optional
        True, the default on the CPU: a target that is neither a class nor a histogram, and masses that differ, raise.
        False, the default on CUDA, where to look would wait for the device: the answer of such a row is NaN. Either
        way an `input` that is not finite gives NaN, as it does in cross entropy; gradient scalers rely on that.

    Returns
    -------
    Tensor
        A scalar, or with "none" the shape of the class indices; of the dtype of `input`, but float32 for narrower ones
        under autocast. NaN for the mean of no rows, as in cross entropy.

    Raises
    ------
    IndexError
        For a class that is the number of no bin, under `check`.
    RuntimeError, TypeError, ValueError
        Of the kind that cross entropy raises, for wrong shapes, dtypes and devices; ValueError for a bad row or `rho`.

    Notes
    -----
    Time O(n), on trees O(nodes), a row. Nothing is copied, except that bfloat16 becomes float32 on the CPU, since numpy
    has no bfloat16. Sums are float64 inside. Beside the gradient no memory of its size is used. Label smoothing,
    `from_logits=False`, `lengths` and a target that requires grad each need a matrix or two of the size of `input`.

    Differentiable with respect to `input`, a soft `target` and `lengths`; a second time for ``rho >= 2``, in plain
    torch, in O(n) a row. At a smaller rho the second derivative is not finite where an edge has no flow, and
    RuntimeError says so. `lengths` are read on the host, and the space is prepared anew where they have changed, which
    takes some microseconds on a chain or ring and about a millisecond per 1,000 nodes of a tree.

    References
    ----------
    M. Martinez et al., arXiv:1611.07573 (2016).

    Examples
    --------
    >>> import torch, fastemd as fe
    >>> from fastemd.torch import emd_loss
    >>> z, y = torch.zeros(2, 3), torch.tensor([0, 1])
    >>> emd_loss(z, y, fe.Chain(3), reduction="none")
    tensor([0.5556, 0.2222])
    >>> emd_loss(z, y, fe.Chain(3), rho=1, weight=torch.tensor([1.0, 3.0, 1.0]))
    tensor(0.7500)
    """
    space = space_of(space)
    rho = validation.exponent(rho)
    normalize = one_of(mass, MASSES, "mass") == "normalize"
    soft = validation.is_soft(input, target, space, reduction, weight, label_smoothing, lengths)
    dtype, check = input.dtype, input.is_cpu if check is None else check
    if input.dim() > 2:
        input, target = input.movedim(1, -1), target.movedim(1, -1) if soft else target
    # The masses of histograms in 16 bits agree within the rounding of 16 bits, also where they are widened below.
    tolerance = max(
        validation.tolerance(target.dtype, space.n) if soft else 0.0,
        0.0 if from_logits else validation.tolerance(input.dtype, space.n),
    )
    if soft:
        dtype = torch.promote_types(dtype, target.dtype)
    elif target.dtype != torch.int64:
        target = target.long()
    if soft or label_smoothing or not from_logits or lengths is not None:
        # Smoothing and softmax in 16 bits would be off by a percent.
        wide = torch.promote_types(dtype, torch.float32)
        input, target = input.to(wide), target.to(wide) if soft else target
    if normalize and soft:
        target = target / target.sum(-1, keepdim=True)
    if normalize and not from_logits:
        input = input / input.sum(-1, keepdim=True)
    if from_logits and (lengths is not None or (soft and may_require_grad(target))):
        input, from_logits = input.softmax(-1), False
    options = (rho, from_logits, label_smoothing, check, tolerance)
    loss = loss_of_rows(input, target, lengths, space, Reduction(reduction, weight, ignore_index), options)
    return loss if loss.dtype == dtype or torch.is_autocast_enabled(input.device.type) else loss.to(dtype)


class EMDLoss(nn.Module):
    """`emd_loss` as a module, in place of `torch.nn.CrossEntropyLoss`.

    Parameters
    ----------
    space, rho, from_logits, reduction, weight, ignore_index, label_smoothing, mass, check
        As for `emd_loss`.
    learn_lengths : bool, optional
        True: the lengths of the edges become a parameter, `log_lengths`, and follow its softmax, so that they stay
        above 0 and keep their total. (Free lengths would shrink to nothing, as every flow costs less then.) Edges of
        length 0 keep it.

    Attributes
    ----------
    space : Chain, Ring or Tree
    weight : Tensor or None
        A buffer.
    log_lengths : Parameter, shape (edges of a length above 0,), or None
        At first the logarithms of the space's own lengths.

    Raises
    ------
    TypeError, ValueError
        If `space` is none, or has no edge to learn.

    Examples
    --------
    >>> import torch, fastemd as fe
    >>> from fastemd.torch import EMDLoss
    >>> loss = EMDLoss(fe.Ring(4), rho=1)
    >>> loss
    EMDLoss(Ring(4), rho=1)
    >>> loss(torch.tensor([0.0, 100.0, 0.0, 0.0]), torch.tensor(3))
    tensor(2.)
    >>> EMDLoss(fe.Chain(3), learn_lengths=True).lengths()
    tensor([1., 1.], grad_fn=<IndexCopyBackward0>)
    """

    weight: Tensor | None

    def __init__(
        self,
        space: Space,
        *,
        rho: float = 2,
        from_logits: bool = True,
        reduction: str = "mean",
        weight: Tensor | None = None,
        ignore_index: int = -100,
        label_smoothing: float = 0.0,
        learn_lengths: bool = False,
        mass: str = "equal",
        check: bool | None = None,
    ) -> None:
        super().__init__()
        self.space, self.rho, self.from_logits, self.reduction = space_of(space), rho, from_logits, reduction
        self.ignore_index, self.label_smoothing, self.check = ignore_index, label_smoothing, check
        self.mass = one_of(mass, MASSES, "mass")
        self.register_buffer("weight", weight)
        self.log_lengths: nn.Parameter | None = None
        if learn_lengths:
            own = validation.learnable(space)
            self.log_lengths = nn.Parameter(own.log().to(torch.get_default_dtype()))

    def lengths(self) -> Tensor | None:
        """Lengths of the edges as they are learned, shape (m,); None where they are not.

        Returns
        -------
        Tensor or None
        """
        if self.log_lengths is None:
            return None
        own = torch.from_numpy(self.space.lengths.copy()).to(self.log_lengths)
        learned = own.sum() * self.log_lengths.softmax(0)
        return torch.zeros_like(own).index_copy(0, (own > 0).nonzero()[:, 0], learned)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return `emd_loss` of a batch."""
        return emd_loss(
            input,
            target,
            self.space,
            rho=self.rho,
            from_logits=self.from_logits,
            reduction=self.reduction,
            weight=self.weight,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
            lengths=self.lengths(),
            mass=self.mass,
            check=self.check,
        )

    def extra_repr(self) -> str:
        """Space and exponent, for `repr`."""
        return f"{self.space!r}, rho={self.rho:g}"
