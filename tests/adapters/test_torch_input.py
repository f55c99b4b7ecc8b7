"""What a bad call of the torch adapter is told: errors of torch's kinds, in torch's words, with the mend."""

import pytest
import torch
import torch.nn.functional as F

import fastemd as fe
from fastemd.torch import EMDLoss, emd_loss
from tests.support.torch_problems import TREE

Z, Y = torch.randn(3, 5), torch.tensor([4, 0, 2])
WIDE = torch.randn(3, 5, 2)


@pytest.mark.parametrize(
    ("input", "target", "message"),
    [
        (Z, torch.tensor([4, 5, 0]), r"Target 5 is out of bounds. Needed: 0..4, the bins of <Tree of 5 bins"),
        (Z, torch.tensor([4, -1, 0]), r"Target -1 is out of bounds"),
        (
            Z,
            Y[:2],
            r"Expected input batch_size \(3\) to match target batch_size \(2\). Needed: a target of",
        ),
        (Z, torch.tensor(1), r"Expected input batch_size \(3\) to match target batch_size"),
        (WIDE, torch.zeros(3, 4).long(), r"Expected target size \[3, 2\], got \[3, 4\]. Needed"),
        (Z, Y.int(), "expected target dtype to be Long or Byte, but got Int. Needed: class indices; try target.long()"),
        (Z, Y.float(), "expected target dtype to be Long or Byte, but got Float. Needed: class indices"),
        (Z, Y == 0, "expected target dtype to be Long or Byte, but got Bool"),
        (Z, Z.long(), "Expected floating point type for target with class probabilities, got Long. Needed"),
        (Z.long(), Y, "not implemented for 'Long'. Needed: an input of floats; try input.float"),
        (Z.numpy(), Y, r"argument 'input' must be Tensor, not ndarray"),
        (Z, [4, 0, 2], r"argument 'target' must be Tensor, not list"),
        (Z, Y.to("meta"), r"input is on cpu and target on meta. Needed: one device; try target.to\(input.device\)"),
    ],
)
def test_bad_tensors_are_refused_with_the_error_of_cross_entropy(input, target, message):
    with pytest.raises((IndexError, ValueError, TypeError, RuntimeError), match=message) as ours:
        emd_loss(input, target, TREE)
    with pytest.raises((IndexError, ValueError, TypeError, RuntimeError)) as torchs:
        F.cross_entropy(input, target)
    assert ours.type is torchs.type


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reduction": "average"}, "'average' is not a valid value for reduction. Needed: one of"),
        ({"label_smoothing": 1.5}, "label_smoothing must be between 0.0 and 1.0. Got: 1.5"),
        (
            {"weight": torch.ones(4)},
            r"for all 5 classes or no classes .* shape: \[4\]. Needed: one number",
        ),
    ],
)
def test_bad_options_are_refused_with_the_error_of_cross_entropy(options, message):
    with pytest.raises((ValueError, RuntimeError), match=message) as ours:
        emd_loss(Z, Y, TREE, **options)
    with pytest.raises((ValueError, RuntimeError)) as torchs:
        F.cross_entropy(Z, Y, **options)
    assert ours.type is torchs.type


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: emd_loss(Z, Y, 5), TypeError, "space is of type int. Needed: a fastemd.Chain"),
        (lambda: EMDLoss("chain"), TypeError, "space is of type str"),
        (lambda: emd_loss(Z, Y, fe.Chain(4)), ValueError, r"of 4 classes, .* Chain\(4\), got 5 classes in"),
        (lambda: emd_loss(WIDE, Y, fe.Chain(2)), ValueError, r"got 5 classes in axis 1 \(shape \[3, 5, 2\]\)"),
        (lambda: emd_loss(torch.tensor(1.0), Y, TREE), ValueError, "got a single number"),
        (lambda: emd_loss(Z, Y, TREE, rho=0.5), ValueError, "rho is 0.5. Needed: a finite number of at least 1"),
        (lambda: emd_loss(Z, Y, TREE, rho="two"), TypeError, "rho is 'two'"),
        (lambda: emd_loss(Z, Y, TREE, weight=[1.0] * 5), TypeError, "argument 'weight' must be Tensor, not list"),
        (lambda: emd_loss(Z, Y, TREE, weight=torch.ones(5, device="meta")), RuntimeError, "weight on meta. Needed"),
        (lambda: emd_loss(Z, Y, TREE, lengths=torch.ones(5)), RuntimeError, r"lengths of shape \[7\] .* \[5\]"),
        (lambda: emd_loss(Z, Y, TREE, lengths=torch.ones(7).long()), RuntimeError, "Expected lengths .* and Long"),
        (lambda: emd_loss(Z, Y, TREE, lengths=-torch.ones(7)), ValueError, r"length\[1\] is -1.0. Needed: finite"),
        (lambda: emd_loss(Z, Y, fe.Chain(5), lengths=torch.zeros(4)), ValueError, r"lengths\[0\] is 0.0. Needed"),
        (lambda: EMDLoss(fe.Chain(1), learn_lengths=True), ValueError, "no edge of a length above 0"),
    ],
)  # fmt: skip
def test_what_cross_entropy_does_not_have_is_refused_in_the_words_of_fastemd(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_integers_cannot_require_grad():
    with pytest.raises(RuntimeError, match="only Tensors of floating point dtype can require gradients"):
        emd_loss(Z.long().requires_grad_(), Y, TREE)


P = Z.softmax(-1)


@pytest.mark.parametrize(
    ("input", "target", "options", "message"),
    [
        (2 * P, Y, {"from_logits": False}, r"a is the input and b the target.* a\[0\] \(row 0\) has mass .* mass 1"),
        (P, 2 * P, {"from_logits": False}, r"b\[0\] \(row 0\) has mass"),
        (-P, Y, {"from_logits": False}, r"a\[0, 0\] is -0\..* Needed: masses of at least 0"),
        (Z, 2 * P, {}, r"target\[0\] \(row 0\) has mass .* Needed: mass 1"),
        (Z, P - P.mean(), {}, r"target\[.*\] is -0\..*Needed: masses of at least 0"),
        (Z, P * float("nan"), {}, r"target\[0, 0\] is nan"),
    ],
)
def test_rows_that_are_no_histograms_raise_under_check_and_are_nan_without(input, target, options, message):
    with pytest.raises(ValueError, match=message):
        emd_loss(input, target, TREE, **options)
    assert emd_loss(input, target, TREE, check=False, **options).isnan()


@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.1}, {"from_logits": False}, {"lengths": torch.ones(7)}])
def test_class_out_of_bounds_is_an_index_error_under_check_and_nan_without(options):
    y = torch.tensor([0, 7, -100])
    input = P if "from_logits" in options else Z
    with pytest.raises(IndexError, match="Target 7 is out of bounds"):
        emd_loss(input, y, TREE, **options)
    rows = emd_loss(input, y, TREE, check=False, reduction="none", **options)
    assert rows.isnan().tolist() == [False, True, False]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_input_that_is_not_finite_gives_nan_as_in_cross_entropy(bad):
    z = Z.clone()
    z[1, 2] = bad
    assert emd_loss(z, Y, TREE).isnan() and F.cross_entropy(z, Y).isnan()
    assert emd_loss(z, Y, TREE, reduction="none").isnan().tolist() == [False, True, False]
    with pytest.raises(IndexError, match="Target 9"):
        emd_loss(z, torch.tensor([9, 0, 0]), TREE)


def test_a_mask_of_minus_infinity_gives_probability_zero():
    z = Z.clone().requires_grad_()
    masked = z.masked_fill(torch.eye(3, 5).bool(), float("-inf"))
    emd_loss(masked, Y, TREE).backward()
    assert (z.grad[torch.eye(3, 5).bool()] == 0).all() and z.grad.isfinite().all()
