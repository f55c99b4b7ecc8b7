"""The values of rows as an operation that torch can differentiate, transform and compile.

One set of functions makes three operations. `_Loss`, an `autograd.Function` of the old form, reduces the rows as well
and serves eager code: a step takes 99 us at 32 x 100 and 4.6 ms at 4,096 x 1,000; `_Rows` takes 235 us and 9.0 ms.
`_Rows` serves the transforms of torch.func, which refuse the old form, and in which a custom operator has no gradient.
Operators serve what has to know the shapes of the answer without running it. They take no space as an argument:
``fastemd::emd``, of tracers, exports and subclasses, takes its name in a registry, ``fastemd::emd_compiled``, of
torch.compile, its number. There number and rho are tensors, so a graph serves every space and every rho.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd import forward_ad

from ..arrays.bad_rows import raise_unexplained
from ..exact.call import NO_OUTPUT, check_rows, histogram_problem, logits_problem, output, solve
from ..formulas.gradient import CENTRED, WRT_A
from ..problems import EMDProblem
from ..spaces import Chain, Ring, Tree
from ..spaces.base import Space, space_of_number
from . import validation
from .reduction import Reduction
from .second_derivative import Directional, Scaled, scale

EXPORTED = "space:"  # begins the name of a space in an exported program, which holds its content
PLAIN = (Tensor, torch.nn.Parameter)
SPACES: dict[str, Any] = {"chain": Chain, "ring": Ring, "tree": Tree}
_named: dict[str, Space] = {}  # kept while the process lives: compiled graphs hold the names


def loss_of_rows(
    input: Tensor, target: Tensor, lengths: Tensor | None, space: Space, reduction: Reduction, options: tuple[Any, ...]
) -> Tensor:
    """Return the loss of rows: classes last in `input`, class indices or histograms in `target`.

    `options` are rho, from_logits, label_smoothing and check. With from_logits there are no lengths, and a target that
    requires no grad. 16-bit rows give a loss in float32.
    """
    compiling = torch.compiler.is_compiling()
    transformed = not compiling and _is_transformed()
    plain = not compiling and _is_plain(input, target, lengths)
    weight_grad = reduction.weight is not None and (reduction.weight.requires_grad or target.requires_grad)
    if plain and not transformed and not weight_grad:
        if torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in (input, target, lengths)):
            return _Loss.apply(input, target, lengths, reduction, (space, *options))
        target, rows = reduction.of_batch(target, _value_dtype(input.dtype), known=not target.is_cuda)
        return rows.reduce_eagerly(_values(input, target, lengths, space, *options))
    target, rows = reduction.of_batch(target, _value_dtype(input.dtype))
    if plain or transformed:
        return rows.reduce(_Rows.apply(input, target, lengths, space, *options)[0])
    if compiling and not torch.compiler.is_exporting():
        number = torch.full((), space.number, dtype=torch.int64, device="cpu")
        rho = torch.ones((), dtype=torch.float64, device="cpu") * options[0]
        return rows.reduce(_compiled_operator(input, target, lengths, number, rho, *options[1:])[0])
    if any(type(x).__name__ == "DTensor" for x in (input, target)):
        from . import sharding  # torch.distributed takes a second to load

        sharding.register()
    return rows.reduce(_operator(input, target, lengths, name_of(space), *options)[0])


def _is_plain(*tensors: Tensor | None) -> bool:
    """Whether tensors are of no subclass, on no meta device, and under no dispatch mode, such as a tracer."""
    if torch._C._len_torch_dispatch_stack():
        return False
    return all(x is None or (type(x) in PLAIN and not x.is_meta) for x in tensors)


def _is_transformed() -> bool:
    """Whether a transform of torch.func or forward-mode differentiation is at work."""
    return torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0


def may_require_grad(x: Tensor) -> bool:
    """Whether a gradient with respect to a tensor may be wanted; a transform of torch.func does not show it."""
    return x.requires_grad or (not torch.compiler.is_compiling() and _is_transformed())


def _value_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return the dtype of values: float32 for 16-bit floats, lest a loss that is scaled up for them overflows."""
    return torch.float32 if dtype.itemsize == 2 else dtype


@torch.compiler.assume_constant_result
def name_of(space: Space) -> str:
    """Return the name under which the operator finds the space: a digest of its content, or in an export the content.

    A program that is exported runs in another process, whose registry is empty.
    """
    if torch.compiler.is_exporting():
        text = json.dumps({"kind": space.kind, **space.content()})
        return EXPORTED + base64.b64encode(zlib.compress(text.encode())).decode()
    name: str | None = space.kept.get("torch name")
    if name is None:
        digest = hashlib.blake2b(repr((space.kind, space.content())).encode(), digest_size=16)
        name = space.kept["torch name"] = digest.hexdigest()
        _named[name] = space
    return name


def _space_named(name: str) -> Space:
    """Return the space of a name."""
    if name not in _named:
        if not name.startswith(EXPORTED):
            raise RuntimeError(
                f"fastemd::emd finds no space {name!r}: the graph was made in another process. Needed: that space in "
                "this process, before the graph runs; call fastemd.torch.emd_loss on it once, or use torch.export, "
                "which saves the space with the program."
            )
        content = json.loads(zlib.decompress(base64.b64decode(name.removeprefix(EXPORTED))))
        _named[name] = SPACES[content.pop("kind")](**content)
    return _named[name]


# --- One row after another --------------------------------------------------------------------------------------------


def _answers(
    input: Tensor,
    target: Tensor,
    lengths: Tensor | None,
    space: Space | str,
    rho: float,
    from_logits: bool,
    label_smoothing: float,
    check: bool,
    tolerance: float = 0.0,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return values, and the gradients with respect to the input and to lengths."""
    own = _space_named(space) if isinstance(space, str) else space
    problem = _problem(input, target, lengths, own, rho, from_logits, label_smoothing, tolerance)
    kernel: tuple[Any, ...] = ("logits",) if from_logits else ("gradient", CENTRED, WRT_A)
    # Where bins do not lie side by side, as in (N, n, d1, ...), the gradient gets the layout of the input.
    out = output(problem, None if input.stride(-1) == 1 else _array(torch.empty_like(input)), own.n)
    values, grad = solve(problem, kernel[0], out, False, *kernel[1:])
    if check:
        _check_values(values, input, target, own, problem)
    dtype, by_length = _value_dtype(input.dtype), None
    if lengths is not None:
        by_length = _tensor(solve(problem, "length_gradient", output(problem, None, own.m), False)[1], dtype)
    return _tensor(values, dtype), _tensor(grad, input.dtype), by_length


def _values(
    input: Tensor,
    target: Tensor,
    lengths: Tensor | None,
    space: Space,
    rho: float,
    from_logits: bool,
    label_smoothing: float,
    check: bool,
    tolerance: float,
) -> Tensor:
    """Return values alone, where no gradient is wanted."""
    if from_logits and input.is_cuda:  # no kernel there leaves the gradient out
        return _answers(input, target, lengths, space, rho, from_logits, label_smoothing, check, tolerance)[0]
    problem = _problem(input, target, lengths, space, rho, from_logits, label_smoothing, tolerance)
    values, _ = solve(problem, "logits_value" if from_logits else "value", NO_OUTPUT, False)
    if check:
        _check_values(values, input, target, space, problem)
    return _tensor(values, _value_dtype(input.dtype))


def _problem(
    input: Tensor,
    target: Tensor,
    lengths: Tensor | None,
    space: Space,
    rho: float,
    from_logits: bool,
    label_smoothing: float,
    tolerance: float,
) -> EMDProblem:
    """Return the problem of tensors."""
    if from_logits and lengths is not None:
        raise ValueError(
            "from_logits is True, and there are lengths. Needed: the softmax of the logits in their place."
        )
    here = space if lengths is None else _with_lengths(space, lengths.detach().cpu().double().numpy().tobytes())
    histograms = target
    if (label_smoothing or not from_logits) and not target.is_floating_point():
        histograms = (target.unsqueeze(-1) == torch.arange(space.n, device=target.device)).to(input.dtype)
    if label_smoothing:
        histograms = histograms * (1.0 - label_smoothing) + label_smoothing / space.n
    make = logits_problem if from_logits else histogram_problem
    problem = make(_array(input), _array(histograms), here, rho, "equal")
    return problem._replace(tolerance=max(problem.tolerance, tolerance))


def _check_values(values: Any, input: Tensor, target: Tensor, space: Space, problem: EMDProblem) -> None:
    """Raise the error for the first row without an answer."""
    if (values.isnan() if isinstance(values, Tensor) else np.isnan(values)).any():
        _raise_bad_row(input, target, space, problem)


def _array(x: Tensor) -> Any:
    """Return a tensor as `fastemd` takes it without a copy: a numpy view, or the CUDA tensor itself."""
    if type(x) is not Tensor:
        x = x.as_subclass(Tensor)
    if x.requires_grad:
        x = x.detach()
    if x.is_cuda:
        return x
    return (x.float() if x.dtype == torch.bfloat16 else x).numpy()  # numpy has no bfloat16


def _tensor(x: Any, dtype: torch.dtype) -> Tensor:
    tensor = x if isinstance(x, Tensor) else torch.from_numpy(np.asarray(x))
    return tensor if tensor.dtype == dtype else tensor.to(dtype)


def _raise_bad_row(input: Tensor, target: Tensor, space: Space, problem: EMDProblem) -> None:
    """Raise the error for the first row without an answer, unless some input is not finite: then NaN is the answer."""
    if not target.is_floating_point() and len(outside := target[(target < 0) | (target >= space.n)]):
        raise validation.out_of_bounds(int(outside[0]), space)
    if input.isfinite().all():
        try:
            check_rows(problem)
            raise_unexplained(np.full(problem.batch, np.nan))
        except ValueError as error:
            text = str(error).replace(", mass='root' sends a surplus to the root", "")  # the loss has no such policy
            raise ValueError(f"emd_loss, where a is the input and b the target, and masses are 1: {text}") from None


@functools.lru_cache(maxsize=8)
def _with_lengths(space: Space, lengths: bytes) -> Space:
    """Return the space with other lengths, float64."""
    new = np.frombuffer(lengths)
    if isinstance(space, Tree):
        return Tree(space.parent, new, space.bins)
    if isinstance(space, Ring):
        return Ring(lengths=new)
    if not (np.isfinite(new).all() and (new > 0).all()):
        e = int(np.argmin(np.isfinite(new) & (new > 0)))
        raise ValueError(f"lengths[{e}] is {new[e]}. Needed: finite and above 0 on a Chain; on a Tree they may be 0.")
    return Chain(positions=np.concatenate([[0.0], np.cumsum(new)]))


# --- Derivatives, transforms, the compiler ----------------------------------------------------------------------------


def _gradients(
    g: Any, tensors: Any, gradients: Any, wanted: tuple[bool, ...], options: tuple[Any, ...], in_place: bool = False
) -> list[Tensor | None]:
    """Return gradients with respect to input, target and lengths: the `gradients` of the rows' values, scaled by g.

    They can be differentiated, unless `gradients` are scaled `in_place`.
    """
    space, rho, from_logits, label_smoothing = options[:4]
    chosen = frozenset(k for k in range(3) if wanted[k])
    if from_logits and wanted[1]:
        raise RuntimeError("fastemd::emd has no gradient for a target of logits. Needed: the softmax of the logits.")
    if in_place:
        grad, by_length = gradients
        scaled = iter(scale(g, grad, by_length, chosen, label_smoothing, in_place=True))
    else:
        own = _space_named(space) if isinstance(space, str) else space
        scaled = iter(Scaled.apply(g, *tensors, *gradients, chosen, own, rho, from_logits, label_smoothing))
    return [next(scaled) if want else None for want in wanted]


def _number(g: Tensor, factor: Tensor | float) -> float | None:
    """Return g * factor as a float if g is a scalar on the CPU, which takes less time than a tensor; else None."""
    if not isinstance(factor, float) or g.dim() or not g.is_cpu:
        return None
    try:
        return g.item() * factor
    except RuntimeError:  # under vmap, as is_grads_batched uses it, g has no single value
        return None


class _Loss(torch.autograd.Function):
    """The loss of all rows, reduced."""

    @staticmethod
    def forward(
        ctx: Any, input: Tensor, target: Tensor, lengths: Tensor | None, reduction: Reduction, options: tuple[Any, ...]
    ) -> Tensor:
        target, rows = reduction.of_batch(target, _value_dtype(input.dtype), known=not target.is_cuda)
        values, *ctx.gradients = _answers(input, target, lengths, *options)
        ctx.options = options
        ctx.save_for_backward(input, target, lengths)
        ctx.factor = rows.factor
        return rows.reduce_eagerly(values)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        tensors = ctx.saved_tensors
        # A second backward pass makes the gradients again, since the first one has scaled them in place.
        gradients = ctx.gradients or _answers(*tensors, *ctx.options)[1:]
        if last := not torch.is_grad_enabled():
            ctx.gradients = None
        weight = _number(g, ctx.factor) if last else None
        weight = g * ctx.factor if weight is None else weight
        scaled = _gradients(weight, tensors, gradients, ctx.needs_input_grad[:3], ctx.options, in_place=last)
        return *scaled, None, None


def _outputs(*args: Any) -> tuple[Tensor, Tensor, Tensor]:
    """`_answers`, an empty tensor standing for no gradient."""
    values, grad, by_length = _answers(*args)
    return values, grad, values.new_empty(0) if by_length is None else by_length


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    ctx.options = inputs[3:]
    ctx.save_for_backward(*inputs[:3], *output[1:])
    ctx.save_for_forward(*inputs[:3], *output[1:])
    ctx.mark_non_differentiable(*output[1:])
    ctx.set_materialize_grads(False)


def _backward(ctx: Any, g: Tensor | None, *_: None) -> tuple[Tensor | None, ...]:
    saved = ctx.saved_tensors
    nothing = (None,) * 6
    if g is None:
        return None, None, None, *nothing
    return *_gradients(g, saved[:3], saved[3:], ctx.needs_input_grad[:3], ctx.options), *nothing


def _tangent(ctx: Any, *tangents: Tensor | None) -> tuple[Tensor, None, None]:
    """Return the derivative of the values along tangents of input, target and lengths."""
    *tensors, grad, by_length = ctx.saved_tensors[:5]
    along = [x if x is None or x.is_floating_point() else None for x in tangents[:3]]
    space, rho, from_logits, label_smoothing = ctx.options[:4]
    rows = Directional.apply(*tensors, *along, grad, by_length, space, rho, from_logits, label_smoothing)
    return rows.to(_value_dtype(grad.dtype)), None, None


def _mapped(call: Callable[..., Any], info: Any, in_dims: tuple[int | None, ...], *args: Any) -> tuple[Any, Any]:
    """`call` under torch.func.vmap: one axis more of rows or, for several metrics, a call for each.

    A tensor that is not mapped gets an axis of size 1, so that an outer vmap finds both at the same rank.
    """
    input, target, lengths, *options = args
    if in_dims[2] is None:
        pairs = zip((input, target), in_dims[:2], strict=True)
        moved = [x.unsqueeze(0) if d is None else x.movedim(d, 0) for x, d in pairs]
        return call(*moved, lengths, *options), (0, 0, None if lengths is None else 0)
    each = []
    for k in range(info.batch_size):
        x = [x if d is None else x.select(d, k) for x, d in zip(args[:3], in_dims[:3], strict=True)]
        each.append(call(*x, *options))
    return tuple(torch.stack(part) for part in zip(*each, strict=True)), (0, 0, 0)


class _Rows(torch.autograd.Function):
    """The values of rows, and two gradients that cannot be differentiated themselves."""

    @staticmethod
    def forward(*args: Any) -> tuple[Tensor, Tensor, Tensor]:
        if _is_plain(*args[:3]):
            return _outputs(*args)
        answer: tuple[Tensor, Tensor, Tensor] = _operator(*args[:3], name_of(args[3]), *args[4:])
        return answer

    setup_context = staticmethod(_setup)
    backward = staticmethod(_backward)
    jvp = staticmethod(_tangent)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *args: Any) -> tuple[Any, Any]:
        return _mapped(_Rows.apply, info, in_dims, *args)


_operator = torch.library.custom_op(
    "fastemd::emd",
    _outputs,
    mutates_args=(),
    schema="(Tensor input, Tensor target, Tensor? lengths, str space, float rho, bool from_logits, "
    "float label_smoothing, bool check, float tolerance=0.0) -> (Tensor, Tensor, Tensor)",
)
_operator.register_autograd(_backward, setup_context=_setup)
_operator.register_vmap(functools.partial(_mapped, _operator))


def _compiled_outputs(
    input: Tensor, target: Tensor, lengths: Tensor | None, space: Tensor, rho: Tensor, *options: Any
) -> tuple[Tensor, Tensor, Tensor]:
    return _outputs(input, target, lengths, space_of_number(int(space)), float(rho), *options)


def _compiled_backward(ctx: Any, g: Tensor | None, *_: None) -> tuple[Tensor | None, ...]:
    """Return the gradients; torch.compile has no second ones."""
    wanted = frozenset(k for k in range(3) if ctx.needs_input_grad[k])
    grad, by_length = ctx.saved_tensors[3:]
    scaled = iter(() if g is None else scale(g, grad, by_length, wanted, ctx.options[3], in_place=False))
    return *(next(scaled, None) if k in wanted else None for k in range(3)), *(None for _ in range(6))


_compiled_operator = torch.library.custom_op(
    "fastemd::emd_compiled",
    _compiled_outputs,
    mutates_args=(),
    schema="(Tensor input, Tensor target, Tensor? lengths, Tensor space, Tensor rho, bool from_logits, "
    "float label_smoothing, bool check, float tolerance=0.0) -> (Tensor, Tensor, Tensor)",
)
_compiled_operator.register_autograd(_compiled_backward, setup_context=_setup)
_compiled_operator.register_vmap(functools.partial(_mapped, _compiled_operator))


@_operator.register_fake
@_compiled_operator.register_fake
def _(input: Tensor, target: Tensor, lengths: Tensor | None, *_: Any) -> tuple[Tensor, Tensor, Tensor]:
    rows = target.shape[:-1] if target.is_floating_point() else target.shape
    batch = torch.broadcast_shapes(input.shape[:-1], rows)
    value_dtype = torch.float32 if input.dtype.itemsize == 2 else input.dtype
    by_length = (0,) if lengths is None else (*batch, *lengths.shape)
    return (
        input.new_empty(batch, dtype=value_dtype),
        input.new_empty((*batch, input.shape[-1])),
        input.new_empty(by_length, dtype=value_dtype),
    )
