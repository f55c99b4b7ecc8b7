"""Calls of the public functions, each drawn from a random generator: good ones, and about a third bad ones."""

from __future__ import annotations

import copy
import functools
import pickle
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import fastemd as fe

PAIRED = ("emd", "emd_value_and_grad", "flow", "potential", "plan", "check")
FLOATS = ("float64", "float64", "float32", "float32", "float16")
DTYPES = (*FLOATS, *FLOATS, "int64", "int32", "uint8", "uint64", ">f8")
RHOS = (1, 1, 2, 2, 1.5, 3, 2.5, 7, 1.0, 1.0 + 1e-7, np.float32(2), np.int8(2), True)
BATCHES = ("", "", "r r", "r r", "r -", "- r", "r1 m", "2r 2r", "2r r", "23 13", "231 32", "0 -", "0 0", "03 13", "1 r")
BAD = 0.33


class Call(NamedTuple):
    """A call: the name it goes by in the record, its arguments by name, and how many of them go by position."""

    function: str
    call: Callable[..., Any]
    given: dict[str, Any]
    positional: int = 0

    def run(self) -> Any:
        """Make the call."""
        values = list(self.given.values())
        names = list(self.given)[self.positional :]
        return self.call(*values[: self.positional], **{name: self.given[name] for name in names})

    def text(self) -> str:
        """Return the call in a line."""
        return f"{self.function}({', '.join(f'{name}={shown(value)}' for name, value in self.given.items())})"


def shown(value: Any) -> str:
    """Return a short word for an argument."""
    if not isinstance(value, type) and hasattr(value, "dtype") and getattr(value, "shape", ()) != ():
        return f"{type(value).__name__}<{value.dtype}{tuple(value.shape)}>"
    if isinstance(value, tuple | list) and any(hasattr(item, "dtype") for item in value):
        return f"({', '.join(map(shown, value))})"
    text = repr(value)
    return text if len(text) <= 60 else text[:60] + "..."


def one(rng: Any, choices: Any) -> Any:
    """Return one of the choices."""
    return choices[int(rng.integers(len(choices)))]


def chance(rng: Any, share: float) -> bool:
    """Return True that often."""
    return bool(rng.random() < share)


# --- Spaces -----------------------------------------------------------------------------------------------------------


def lengths_of(rng: Any, n: int) -> np.ndarray:
    """Return edge lengths of which some may be 0, or alike."""
    return rng.random(n) * 3 if chance(rng, 0.5) else rng.integers(0 if chance(rng, 0.3) else 1, 4, n).astype(float)


def parents_of(rng: Any, n: int) -> np.ndarray:
    """Return the parents of a tree of n nodes, deep or wide, numbered at random."""
    reach = one(rng, (1, 2, 5, n))
    parent = np.array([-1] + [int(rng.integers(max(0, v - reach), v)) for v in range(1, n)])
    order = rng.permutation(n) if chance(rng, 0.5) else np.arange(n)
    shuffled = np.empty(n, np.intp)
    shuffled[order] = np.where(parent < 0, -1, order[parent])
    return shuffled


@functools.cache
def shipped(which: str) -> Any:
    """Return a tree that comes with the package."""
    return fe.Tree.wordnet_nouns() if which == "nouns" else fe.Tree.imagenet(which)


def space_of(rng: Any, n: int | None = None, most: int = 40) -> Any:
    """Return a space of n bins."""
    if n is None:
        n = int(rng.integers(1, most + 1)) if chance(rng, 0.97) or most < 40 else one(rng, (300, 300, 3000))
        if most == 40 and chance(rng, 0.004):
            return shipped("1k")
    kind = one(rng, ("chain", "chain", "uneven", "ring", "ring", "arcs", "tree", "tree", "bins"))
    if kind == "chain":
        return fe.Chain(n)
    if kind == "uneven":
        return fe.Chain(positions=np.cumsum(lengths_of(rng, n) + 0.25) - 2)
    if kind == "ring":
        return fe.Ring(n)
    if kind == "arcs":
        return fe.Ring(lengths=lengths_of(rng, n))
    nodes = n if kind == "tree" else n + int(rng.integers(0, n + 3))
    bins = None if kind == "tree" else rng.permutation(nodes)[:n]
    return fe.Tree(parents_of(rng, nodes), lengths_of(rng, nodes), bins)


# --- Arrays -----------------------------------------------------------------------------------------------------------


def batches(rng: Any, rows: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return leading axes of two arrays that broadcast."""
    word = one(rng, BATCHES) or " "
    r, m = (int(x) for x in rng.integers(1, rows + 1, 2))
    if len(word) > 3 or "m" in word:
        r, m = min(r, 6), min(m, 6)
    sizes = {"r": (r,), "m": (m,), "-": ()} | {str(k): (k,) for k in range(4)}
    left, right = (sum((sizes[letter] for letter in side), ()) for side in word.split(" "))
    return left, right


def histograms(rng: Any, shape: tuple[int, ...], n: int, dtype: str, total: int = 1) -> np.ndarray:
    """Return histograms of mass `total` (integers: 100 times that)."""
    kind = one(rng, ("smooth", "sparse", "coarse"))
    if np.dtype(dtype).kind in "iu":
        return rng.multinomial(100 * total, np.full(n, 1.0 / n), shape).astype(dtype)
    if kind == "coarse":
        return (rng.multinomial(16, np.full(n, 1.0 / n), shape) / 16.0 * total).astype(dtype)
    weight = rng.random((*shape, n)) + 1e-3
    if kind == "sparse":
        weight *= rng.random((*shape, n)) < 0.4
        weight[..., int(rng.integers(n))] += 0.5
    return (weight / weight.sum(-1, keepdims=True) * total).astype(dtype)


def laid(rng: Any, x: np.ndarray, writable: bool = False) -> Any:
    """Return an array in some layout or container."""
    way = one(rng, ("plain",) * 8 + ("fortran", "steps", "back", "offset") + ("list", "still", "view") * (not writable))
    if way == "fortran":
        return np.asfortranarray(x)
    if way == "steps" and x.ndim:
        wide = np.full((*x.shape[:-1], 2 * x.shape[-1]), 7, x.dtype)
        wide[..., ::2] = x
        return wide[..., ::2]
    if way == "back" and x.ndim:
        return np.ascontiguousarray(x[..., ::-1])[..., ::-1]
    if way == "offset" and x.size:
        raw = np.zeros(x.nbytes + 1, np.uint8)[1:]
        raw[:] = np.frombuffer(x.tobytes(), np.uint8)
        return raw.view(x.dtype).reshape(x.shape)
    if way == "list" and x.dtype in (np.float64, np.int64):
        return x.tolist()
    if way == "still":
        x = x.copy()
        x.flags.writeable = False
    elif way == "view":
        return np.broadcast_to(x, (3, *x.shape))[1]
    return x


# --- Bad input --------------------------------------------------------------------------------------------------------

JUNK = (None, 3, -1, 0, 2.5, "ab", b"x", [], {}, object(), True, [[1.0], [1.0, 2.0]], np.nan, np.inf, 1j, int, ("a", 2))
BAD_RHO = (0.5, 0, -1, float(np.nextafter(1.0, 0.0)), np.nan, np.inf, 10**400, "2", b"2", "two", None, 1j, [2], [2, 3])
BAD_POSITIVE = (0, 0.0, -0.5, np.nan, np.inf, "0.1", b"1", None, True, np.True_, 1j, [1, 2], 1e-20, 10**400)
BAD_WORD = ("even", "root", "", "Equal", "c", "fast", 1, None, b"equal", ("equal",), np.str_("no"))
BAD_OPTION = {
    "rho": BAD_RHO,
    "mass": BAD_WORD,
    "wrt": ("c", "A", 0, None, "", ["a"]),
    "method": BAD_WORD,
    "space": (3, None, fe.Chain, np.ones(3), "chain", fe.Chain(41), fe.Ring(42), fe.Tree([-1], [0])),
    "reg": BAD_POSITIVE,
    "tol": BAD_POSITIVE,
    "unbalanced": BAD_POSITIVE,
    "epsilon_scaling": (1.0, 1, 2, -0.5, np.nan, np.inf, "x", None, 0, 1j, [0.5, 0.5]),
    "max_iter": (-1, 1.5, "5", None, True, [3], np.float64(3)),
    "p": (2,),
    "reduction": ("average", None, 0, "Mean"),
    "label_smoothing": (1.5, -0.1, float("nan"), "x", None),
    "ignore_index": ("x", None, 1.5),
}


def bad_array(rng: Any, x: Any) -> Any:
    """Return something in the place of an array of numbers that cannot be one of histograms, or holds bad rows."""
    try:
        x = np.array(x)
    except ValueError:
        return x
    if x.ndim == 0 or x.dtype.kind not in "iuf":
        return one(rng, JUNK)
    way = int(rng.integers(30))
    if way < 16 and x.size:  # bad rows
        x = x.astype(np.float64) if x.dtype.kind in "iu" and way < 9 else x
        at = tuple(int(rng.integers(size)) for size in x.shape)
        with np.errstate(all="ignore"):
            if way < 7:
                x[at] = one(rng, (np.nan, -np.nan, np.inf, -np.inf, -0.25, -1e-30, 1e300, 1e-310))
            elif way < 9:
                x[at[:-1]] = x[at[:-1]] * one(rng, (0.0, 1.5, 1e300, 1e-300))
            elif x.dtype.kind == "f":
                x = x * x.dtype.type(one(rng, (0.0, 2.0, 2.0, 0.5, 1e-6, 1 + 1e-5)))
            else:
                x[at] += 1
        return x
    makers: tuple[Callable[[], Any], ...] = (
        lambda: np.concatenate([x, x], axis=-1),
        lambda: x[..., :-1],
        lambda: x.ravel()[:1].sum(),
        lambda: [[1.0, 0.0], [1.0]],
        lambda: x.astype(complex),
        lambda: x.astype(bool),
        lambda: np.full(x.shape, "x"),
        lambda: x.astype(object),
        lambda: np.zeros(x.shape, "M8[s]"),
        lambda: x.astype(np.longdouble),
        lambda: np.ma.array(x),
        lambda: x.astype(one(rng, ("float32", "float64", "float16", "int64", ">f4"))),
        lambda: np.stack([x] * 5),
        lambda: _tensor(x),
        lambda: one(rng, JUNK),
        lambda: None,
        lambda: np.full(x.shape, np.timedelta64(1)),
        lambda: [_tensor(x), _tensor(x)],
    )
    return one(rng, makers)()


def _tensor(x: np.ndarray) -> Any:
    import torch

    return torch.tensor(x.astype(np.float64))


def bad_out(rng: Any, out: Any, given: dict[str, Any]) -> Any:
    """Return something that an answer cannot be written into."""
    if isinstance(out, tuple | list):
        return one(
            rng, ((out[0],), out[0], [out[0], out[0]], (out[0], bad_out(rng, out[1], given)), "ab", (*out, None))
        )
    if not isinstance(out, np.ndarray):
        return one(rng, (np.zeros(3), (np.zeros(3), np.zeros(3)), 1.0))
    way = int(rng.integers(8))
    if way == 0:
        return out.tolist()
    if way == 1:
        return out.astype(one(rng, ("float32", "float64", "int64", ">f8", "float16")))
    if way == 2:
        return np.zeros((*out.shape, 2), out.dtype)
    if way == 3:
        return np.zeros(out.shape[1:], out.dtype)
    if way == 4:
        out.flags.writeable = False
        return out
    if way == 5:
        return _tensor(out)
    return given[one(rng, [name for name in ("a", "b", "logits", "target") if name in given])]


def spoil(rng: Any, given: dict[str, Any], options: tuple[str, ...]) -> dict[str, Any]:
    """Return arguments of which one or, now and then, two are bad: the order of the checks shows in which is told."""
    given = dict(given)
    for _ in range(1 + chance(rng, 0.2)):
        arrays = [name for name in given if name in ("a", "b", "logits", "target")]
        weighty = [name for name in options if name in ("out", "potentials", "reg")]
        names = [*arrays * 3, "space", *options, *weighty * 3, "p"]
        name = one(rng, names)
        way = rng.random()
        if way < 0.03 and name in given:
            del given[name]
        elif way < 0.12 and name != "max_iter":
            given[name] = one(rng, JUNK)
        elif name in BAD_OPTION:
            given[name] = one(rng, BAD_OPTION[name])
        elif name == "out":
            given[name] = bad_out(rng, given.get(name), given)
        elif name == "potentials":
            given[name] = bad_potentials(rng, given.get(name))
        elif name in given and isinstance(given[name], np.ndarray | list):
            given[name] = bad_array(rng, given[name])
    return given


def bad_potentials(rng: Any, pair: Any) -> Any:
    """Return something that Sinkhorn's iteration cannot begin with."""
    f, g = pair if isinstance(pair, tuple) and len(pair) == 2 else (np.zeros(2), np.zeros(2))
    return one(rng, (f, (f,), (f, g, g), "fg", (f, np.zeros(77)), (f * np.nan, g), (["x"], g), (f, None), (1j * f, g)))


# --- The distance -----------------------------------------------------------------------------------------------------


def pair_call(rng: Any, name: str, reference: bool = False) -> Call:
    """Return a call of a function of two histograms and a space."""
    space = space_of(rng, most=12 if reference else 40)
    large = space.n > 100
    dtype = one(rng, DTYPES)
    batch_a, batch_b = batches(rng, 3 if reference else 40 if not large or chance(rng, 0.4) else 2)
    if name == "plan" and large:
        batch_a, batch_b = (), (2,)
    if space.n == 3000 and name != "plan" and chance(rng, 0.5):
        batch_a, batch_b = (90,), (90,)
    masses = ["equal", "normalize", *["root"] * (space.kind != "ring" and name != "plan")]
    mass = one(rng, masses) if chance(rng, 0.5) else "equal"
    scale = one(rng, (1, 1, 1, 2))
    a = histograms(rng, batch_a, space.n, dtype, scale)
    b = histograms(rng, batch_b, space.n, dtype, scale if mass == "equal" else 1)
    given = {"a": laid(rng, a), "b": laid(rng, b), "space": space}
    options = {"mass": mass} if mass != "equal" or chance(rng, 0.2) else {}
    if name not in ("flow", "plan", "check"):
        options["rho"] = one(rng, RHOS)
    if name == "emd_value_and_grad" and chance(rng, 0.7):
        options["wrt"] = one(rng, ("a", "b", "both", "length"))
    if name in ("emd_value_and_grad", "potential") and chance(rng, 0.5):
        options["centred"] = one(rng, (True, False, False, 0))
    if name != "check" and not reference and chance(rng, 0.3):
        options["check"] = one(rng, (True, False, False, 0))
    writes = name in ("emd_value_and_grad", "flow", "potential") and not reference
    if writes and chance(rng, 0.3):
        answer = "float64" if np.dtype(dtype).kind in "iu" else np.dtype(dtype).newbyteorder("=")
        m = space.m if name == "flow" or options.get("wrt") == "length" else space.n
        shape = (*np.broadcast_shapes(batch_a, batch_b), m)
        outs = [laid(rng, np.full(shape, 7, answer), True) for _ in "ab"]
        both = one(rng, (tuple(outs), outs, (outs[0], None), (None, outs[1])))
        options["out"] = both if options.get("wrt") == "both" else outs[0]
    accepted = ["mass", *["rho"] * ("rho" in options), *["wrt"] * ("wrt" in options), *["out"] * writes]
    return call_of(rng, name, reference, given | options, tuple(accepted))


def logits_call(rng: Any, name: str, reference: bool = False) -> Call:
    """Return a call of the loss on logits."""
    space = space_of(rng, most=12 if reference else 40)
    dtype = one(rng, FLOATS)
    batch_z, batch_y = batches(rng, 3 if reference else 40)
    logits = (rng.standard_normal((*batch_z, space.n)) * one(rng, (1, 4, 30))).astype(dtype)
    if chance(rng, 0.1) and space.n > 1 and not reference:
        logits[..., 0 if chance(rng, 0.7) else slice(None)] = -np.inf
    options: dict[str, Any] = {"rho": one(rng, RHOS)}
    target: Any
    if chance(rng, 0.5):
        target = rng.integers(0, space.n, batch_y).astype(one(rng, ("int64", "int32", "uint8", "uint64", "int16")))
    else:
        mass = one(rng, ("equal", "normalize"))
        target = histograms(rng, batch_y, space.n, dtype, one(rng, (1, 2)) if mass == "normalize" else 1)
        options["mass"] = mass
    if chance(rng, 0.3) and not reference:
        options["check"] = False
    if chance(rng, 0.3) and not reference:
        shape = (*np.broadcast_shapes(batch_z, batch_y), space.n)
        options["out"] = laid(rng, np.full(shape, 7, dtype), True)
    given = {"logits": laid(rng, logits), "target": laid(rng, target), "space": space}
    if chance(rng, 0.06):
        given["target"] = one(rng, (-1, space.n, [0, space.n], np.full(batch_y, -100), True, 10**9))
    return call_of(rng, name, reference, given | options, ("rho", "mass", *["out"] * (not reference)))


def call_of(rng: Any, name: str, reference: bool, given: dict[str, Any], options: tuple[str, ...]) -> Call:
    """Return a call of a function, spoilt at times, with its first arguments by position or all by name."""
    if chance(rng, BAD):
        given = spoil(rng, given, options)
    keys = list(given)[:3]
    arrays = sum(key in ("a", "b", "logits", "target", "space", "cost_or_space") for key in keys)
    positional = one(rng, (arrays, arrays, arrays, 2, 0)) if arrays == 3 else 0
    if chance(rng, 0.01):
        positional = len(given)
    home = fe.reference if reference else fe
    return Call(f"reference.{name}" if reference else name, getattr(home, name), given, positional)


# --- Sinkhorn ---------------------------------------------------------------------------------------------------------


def cost_of(rng: Any, n: int, k: int, symmetric: bool) -> Any:
    """Return a matrix of costs."""
    x, y = rng.random((n, 2)), rng.random((k, 2))
    y = x if symmetric else y
    cost = np.abs(x[:, None] - y).sum(-1) ** one(rng, (1, 2)) * one(rng, (1, 5))
    cost = cost - 0.5 if chance(rng, 0.15) else cost
    way = one(rng, ("float64", "float64", "float32", "list", "ints", "fortran"))
    if way == "list":
        return cost.tolist()
    if way == "ints":
        return np.rint(cost * 4).astype(int)
    return np.asfortranarray(cost) if way == "fortran" else cost.astype(way)


def bad_cost(rng: Any, cost: Any) -> Any:
    """Return something that is no cost of carrying mass."""
    x = np.array(cost, float)
    return one(
        rng,
        (
            x.ravel(), x[None], x[:0], 1.0, x.astype(complex), x.astype(bool), np.full(x.shape, "x"), x[:, :-1], x[:-1],
            np.where(x == x.max(), np.nan, x), np.where(x == x.max(), np.inf, x), x + np.arange(x.shape[1]), None,
            "cost", np.where(x == x.max(), 1.7e308, -1.7e308), x.astype(np.longdouble), [[1.0], [1.0, 2.0]], _tensor(x),
            np.ma.array(x), fe.Chain(43), fe.Chain,
        ),
    )  # fmt: skip


def sinkhorn_call(rng: Any, name: str, reference: bool = False) -> Call:
    """Return a call of Sinkhorn's functions."""
    debiased = name == "sinkhorn_divergence"
    n = int(rng.integers(1, 9 if reference else 21)) if chance(rng, 0.97) or reference else one(rng, (100, 300))
    k = n
    if chance(rng, 0.5):
        ground = space_of(rng, n)
        spread = max(ground.diameter, 1.0)
    else:
        k = n if debiased or chance(rng, 0.4) else int(rng.integers(1, 21))
        ground = cost_of(rng, n, k, debiased)
        spread = max(float(np.ptp(ground)), 0.25)
    dtype = one(rng, ("float64", "float64", "float32", "float32", "float16", "int64"))
    batch_a, batch_b = batches(rng, 2 if reference or n > 50 else 8)
    mass = one(rng, ("equal", "equal", "normalize"))
    a = histograms(rng, batch_a, n, dtype, one(rng, (1, 2)) if mass == "normalize" else 1)
    b = histograms(rng, batch_b, k, dtype)
    given: dict[str, Any] = {"a": laid(rng, a), "b": laid(rng, b), "cost_or_space": ground}
    given["reg"] = float(spread * one(rng, (0.005, 0.02, 0.05, 0.1, 0.3, 1, 10)))
    given["max_iter"] = one(rng, (0, 1, 5, 50) if reference else (0, 1, 5, 50, 300, 1000))
    if mass != "equal":
        given["mass"] = mass
    if chance(rng, 0.4):
        given["tol"] = one(rng, (1e-2, 1e-4, 1e-6, 1e-12))
    if chance(rng, 0.4):
        given["method"] = one(rng, ("auto", "scaling", "log"))
    if chance(rng, 0.25):
        given["epsilon_scaling"] = one(rng, (True, False, 0.5, 0.25, 0.9))
    if chance(rng, 0.2) and not reference:
        given["check"] = False
    if not debiased:
        if chance(rng, 0.3):
            given["unbalanced"] = one(rng, (0.1, 1.0, 10.0, 1))
        if chance(rng, 0.4):
            given["plan"] = True
        if chance(rng, 0.2):
            batch = np.broadcast_shapes(batch_a, batch_b) if chance(rng, 0.5) else ()
            given["potentials"] = (rng.random((*batch, n)), rng.random((*batch, k)).astype(np.float32))
    options = (
        "reg",
        "tol",
        "max_iter",
        "method",
        "epsilon_scaling",
        "mass",
        *("unbalanced", "potentials") * (not debiased),
    )
    if debiased and chance(rng, 0.08):
        given["cost_or_space"] = one(rng, (rng.random((n, n)), rng.random((n, n + 1))))
    elif chance(rng, 0.1):
        given["cost_or_space"] = bad_cost(rng, np.zeros((n, k)) if hasattr(ground, "lengths") else ground)
    return call_of(rng, name, reference, given, options)


# --- Losses -----------------------------------------------------------------------------------------------------------


def torch_call(rng: Any, name: str) -> Call:
    """Return a call of the loss of torch, with its gradients."""
    import torch

    n = int(rng.integers(1, 13))
    space = space_of(rng, n)
    kind = one(rng, ("float32", "float32", "float64", "float16", "bfloat16"))
    dims = one(rng, ((), (4,), (7,), (40,), (3, 2), (0,), (2, 3, 2)))
    shape = (*dims[:1], n, *dims[1:])
    axis = 0 if not dims else 1
    input = torch.tensor(rng.standard_normal(shape) * one(rng, (1, 5))).to(getattr(torch, kind))
    options: dict[str, Any] = {"rho": one(rng, (1, 2, 2, 1.5, 3))}
    soft = chance(rng, 0.4)
    if soft:
        target = torch.tensor(np.moveaxis(histograms(rng, dims, n, "float64"), -1, axis)).to(input.dtype)
        target = target.requires_grad_() if chance(rng, 0.3) else target
    else:
        classes = rng.integers(0, n, dims)
        classes = np.where(rng.random(dims) < 0.2, -100, classes) if chance(rng, 0.3) else classes
        target = torch.tensor(classes, dtype=torch.uint8 if chance(rng, 0.1) and classes.min(initial=0) >= 0 else None)
    if chance(rng, 0.2):
        options["from_logits"] = False
        input = input.softmax(axis)
    if chance(rng, 0.6):
        options["reduction"] = one(rng, ("mean", "sum", "none"))
    if chance(rng, 0.3):
        options["weight"] = torch.tensor(rng.random(n)).to(one(rng, (torch.float32, input.dtype)))
    if chance(rng, 0.2):
        options["ignore_index"] = one(rng, (-100, 0, 1))
    if chance(rng, 0.3):
        options["label_smoothing"] = one(rng, (0.0, 0.1, 1.0))
    if chance(rng, 0.2):
        options["lengths"] = torch.tensor(rng.random(space.m) + 0.1).float().requires_grad_()
    if chance(rng, 0.2):
        options["check"] = one(rng, (True, False))
    given: dict[str, Any] = {"input": input.detach().requires_grad_(), "target": target, "space": space, **options}
    if chance(rng, BAD):
        bad = one(rng, ("input", "target", "space", "weight", "lengths", "option", "option", "rows", "rows"))
        z, y = given["input"].detach(), target.detach()
        if bad == "input":
            choices = (
                z.long(),
                z.numpy(force=True) if kind != "bfloat16" else 1,
                z.sum(),
                z[..., :-1],
                z[None],
                z.bool(),
            )
            given["input"] = one(rng, (*choices, z.to("meta"), None))
        elif bad == "target":
            choices = (
                y.int(),
                y.float(),
                y.bool(),
                y.long(),
                y.reshape(-1)[:1],
                y[None],
                y.to("meta"),
                y.tolist(),
                None,
                z.long(),
            )
            given["target"] = one(rng, (*choices, torch.zeros(3, 4).long(), y.double()))
        elif bad == "weight":
            given["weight"] = one(
                rng, ([1.0] * n, torch.ones(n + 1), torch.ones(n, device="meta"), torch.ones(n).long(), 1)
            )
        elif bad == "lengths":
            m = space.m
            choices = (
                torch.ones(m + 1),
                torch.ones(m).long(),
                -torch.ones(m),
                torch.zeros(m),
                torch.full((m,), np.nan),
            )
            given["lengths"] = one(rng, (*choices, [1.0] * m, torch.ones(m, device="meta")))
        elif bad == "rows":
            if soft:
                given["target"] = y * one(rng, (2, -1, float("nan"), 0)) if chance(rng, 0.5) else y - y.mean()
            elif chance(rng, 0.5):
                given["target"] = torch.where(
                    torch.rand(y.shape, generator=torch.Generator().manual_seed(1)) < 0.6, n + 2, y
                )
            else:
                given["input"] = (z * one(rng, (2, -1, float("nan"), float("inf")))).requires_grad_()
        else:
            key = (
                one(rng, ("rho", "reduction", "label_smoothing", "ignore_index", "p", "space"))
                if bad == "option"
                else bad
            )
            given[key] = one(rng, BAD_OPTION[key])
    twice = chance(rng, 0.15)
    call = module_loss if name == "EMDLoss" else torch_loss
    if name == "EMDLoss":
        given.pop("lengths", None)
        given |= {"learn_lengths": True} if chance(rng, 0.4) else {}
    return Call(f"torch.{name}", functools.partial(call, twice), given)


def torch_loss(twice: bool, **given: Any) -> Any:
    """Return the loss of torch and its first or also second derivatives."""
    from fastemd.torch import emd_loss

    return _derived(emd_loss(**given), [given[name] for name in ("input", "target", "lengths") if name in given], twice)


def module_loss(twice: bool, input: Any, target: Any, **given: Any) -> Any:
    """Return what the module answers, its gradients, its words and its state."""
    from fastemd.torch import EMDLoss

    module = EMDLoss(**given)
    answer = _derived(module(input, target), [input, target, *module.parameters()], twice)
    return *answer, repr(module), dict(module.state_dict()), module.lengths()


def _derived(loss: Any, leaves: list[Any], twice: bool) -> Any:
    import torch

    leaves = [x for x in leaves if isinstance(x, torch.Tensor) and x.requires_grad]
    if not loss.requires_grad:
        return (loss,)
    scale = torch.arange(1, loss.numel() + 1, dtype=loss.dtype).reshape(loss.shape)
    first = torch.autograd.grad((loss * scale).sum(), leaves, create_graph=twice, allow_unused=True)
    if not twice:
        return loss, first
    size = sum((g.double() ** 2).sum() for g in first if g is not None)
    return loss, first, torch.autograd.grad(size, leaves, allow_unused=True)


JAX_SPACES = (fe.Chain(5), fe.Ring(lengths=[1, 2, 0.5, 1, 1]), fe.Tree([-1, 0, 0, 1, 1], [0, 1, 2, 1, 0.5]))


def jax_call(rng: Any, name: str) -> Call:
    """Return a call of the loss of jax; shapes and options are few, since each is compiled."""
    kind = one(rng, ("float32", "float32", "bfloat16", "float16"))
    soft = chance(rng, 0.4)
    z = rng.standard_normal((4, 5)).astype(np.float32)
    y = histograms(rng, (4,), 5, "float32") if soft else rng.integers(0, 5, 4).astype(np.int32)
    if not soft and chance(rng, 0.3):
        y[1] = one(rng, (-100, 7))
    given: dict[str, Any] = {"input": z, "target": y, "space": one(rng, JAX_SPACES), "rho": one(rng, (1, 2, 3))}
    given |= {"from_logits": False} if chance(rng, 0.2) else {}
    given |= {"reduction": one(rng, ("mean", "sum", "none"))} if chance(rng, 0.5) else {}
    given |= {"weight": np.arange(1, 6, dtype=np.float32)} if chance(rng, 0.25) else {}
    given |= {"label_smoothing": 0.1} if chance(rng, 0.25) else {}
    if chance(rng, BAD):
        key = one(rng, ("input", "input", "target", "target", "rho", "reduction", "label_smoothing", "weight", "p"))
        arrays = {
            "input": (z.astype(int), z[:, :4], np.float32(1), "x", z * np.nan, None),
            "target": (y[:2], y.astype(bool), z[:, :3], 2 * z, None, "x"),
            "weight": (np.ones(4), 1.0, "x"),
        }
        given[key] = one(rng, arrays.get(key) or BAD_OPTION[key])
    return Call("jax.emd_loss", functools.partial(jax_loss, kind, chance(rng, 0.3)), given)


def jax_loss(kind: str, jit: bool, input: Any, target: Any, space: Any, **options: Any) -> Any:
    """Return the loss of jax and its gradient."""
    import jax
    import jax.numpy as jnp

    from fastemd.jax import emd_loss

    if isinstance(input, np.ndarray) and input.dtype == np.float32:
        input = jnp.asarray(input).astype(kind)

    def total(z: Any) -> Any:
        loss = emd_loss(z, target, space, **options)
        return loss.sum(), loss

    derived = jax.value_and_grad(total, has_aux=True)
    return (jax.jit(derived) if jit else derived)(input)


# --- Spaces by themselves, and the rest -------------------------------------------------------------------------------


def looked_at(build: Callable[..., Any], **given: Any) -> Any:
    """Return all that a space says of itself."""
    space = build(**given)
    again = pickle.loads(pickle.dumps(space))
    names = ("kind", "n", "m", "lengths", "diameter", "positions", "parent", "length", "bins", "labels", "bin_labels")
    found: dict[str, Any] = {name: getattr(space, name, None) for name in (*names, "root", "n_nodes")}
    found["labels"], found["bin_labels"] = (str(found[name])[:2000] for name in ("labels", "bin_labels"))
    found |= {"repr": repr(space), "type": type(space).__qualname__, "cost": space.n <= 300 and space.cost_matrix()}
    found["same"] = (again == space, hash(again) == hash(space), copy.deepcopy(space) is space, space == fe.Chain(3))
    found["still"] = [not x.flags.writeable for x in found.values() if isinstance(x, np.ndarray)]
    for change in (lambda: setattr(space, "n", 3), lambda: delattr(space, "lengths"), lambda: setattr(space, "x", 1)):
        try:
            change()
        except AttributeError as error:
            found[f"error {len(found)}"] = str(error)
    return found


def space_call(rng: Any, name: str) -> Call:
    """Return a call of a constructor or builder of spaces."""
    n = int(rng.integers(1, 14))
    names = ["Chain", "Ring", "Tree", "Tree.from_edges", "Tree.from_sparse", "Tree.from_linkage", "Tree.from_paths"]
    name = one(rng, names) if chance(rng, 0.98) else "Tree.imagenet"
    if name == "Tree.imagenet" and chance(rng, 0.15):
        return Call("Tree.wordnet_nouns", functools.partial(looked_at, fe.Tree.wordnet_nouns), {})
    given = SPACES[name](rng, n)
    if chance(rng, 0.4):
        key = one(rng, [*given, "labels", "root", "bins", "p"])
        old = given.get(key)
        given[key] = one(rng, JUNK)
        if isinstance(old, np.ndarray) and old.size and chance(rng, 0.7):
            wrong = old.astype(one(rng, (float, float, old.dtype, old.dtype)))
            at = tuple(int(rng.integers(size)) for size in wrong.shape)
            values = (-1, 99, -2, 0, 1) if wrong.dtype.kind == "i" else (np.nan, np.inf, -1.0, 1e308, 0.0, 0.5)
            wrong[at] = one(rng, values)
            made = (wrong, wrong, wrong, old[:-1], old[None], old.astype(str), old.astype(complex), old[:0])
            given[key] = one(rng, made)
        elif isinstance(old, list) and old and chance(rng, 0.7):
            extra = (
                *old[0:1],
                "a//b",
                "",
                5,
                (0, 1, 2),
                ("a", ["b"]),
                (False, True),
                (1, 2**70),
                (0.0, 1),
                "ab",
                (1, 1),
            )
            given[key] = one(rng, ([*old, one(rng, extra)], old[:-1], old[1:], old[::-1], [*old[1:], one(rng, extra)]))
    given = {key: value for key, value in given.items() if key != "p" or chance(rng, 0.5)}
    return Call(name, functools.partial(looked_at, built(name)), given)


def built(name: str) -> Callable[..., Any]:
    """Return the constructor or builder of that name."""
    return functools.reduce(getattr, name.split("."), fe)


def _chain(rng: Any, n: int) -> dict[str, Any]:
    positions = np.cumsum(lengths_of(rng, n)) - 1 if chance(rng, 0.2) else np.sort(rng.random(n)) * 9
    return one(
        rng, ({"n": n}, {"positions": positions}, {"n": n, "positions": positions}, {"n": one(rng, JUNK)}, {"n": 0})
    )


def _ring(rng: Any, n: int) -> dict[str, Any]:
    lengths = lengths_of(rng, n)
    return one(
        rng, ({"n": n}, {"lengths": lengths}, {"n": n, "lengths": lengths}, {"n": one(rng, JUNK)}, {"n": n + 300})
    )


def _tree(rng: Any, n: int) -> dict[str, Any]:
    given: dict[str, Any] = {"parent": parents_of(rng, n), "length": lengths_of(rng, n)}
    given |= {"bins": rng.permutation(n)[: int(rng.integers(1, n + 1))]} if chance(rng, 0.5) else {}
    given |= {"labels": [f"node {v}" for v in range(n)]} if chance(rng, 0.3) else {}
    return given


def _edges(rng: Any, n: int) -> dict[str, Any]:
    parent = parents_of(rng, n)
    pairs = [(int(parent[v]), v) if chance(rng, 0.7) else (v, int(parent[v])) for v in rng.permutation(n).tolist()]
    pairs = [pair for pair in pairs if -1 not in pair]
    named = chance(rng, 0.4)
    names: list[Any] = [f"n{v}" for v in range(n)] if named else list(range(n))
    edges: Any = [(names[u], names[v]) for u, v in pairs]
    if not named and chance(rng, 0.4):
        edges = np.array(pairs, dtype=one(rng, ("int64", "uint8", "float64"))).reshape(-1, 2)
    given: dict[str, Any] = {"edges": edges}
    given |= {"lengths": lengths_of(rng, len(pairs))} if chance(rng, 0.5) else {}
    given |= {"root": one(rng, names)} if chance(rng, 0.3) else {}
    given |= {"bins": [names[v] for v in rng.permutation(n)[: max(1, n // 2)].tolist()]} if chance(rng, 0.3) else {}
    return given | ({"labels": [f"label {v}" for v in range(n)]} if chance(rng, 0.2) else {})


def _sparse(rng: Any, n: int) -> dict[str, Any]:
    from scipy import sparse

    parent = parents_of(rng, n)
    child = np.flatnonzero(parent >= 0)
    data = lengths_of(rng, len(child))
    data = one(rng, (*[data] * 12, -data, data + 1j, data.astype(np.float32)))
    graph = sparse.coo_array((data, (parent[child], child)), shape=(n, n))
    if n > 1:
        extra = sparse.coo_array(([1.0], ([int(rng.integers(n))], [int(rng.integers(n))])), shape=(n, n))
        graph = one(
            rng,
            (
                *[graph] * 9,
                graph + graph.T,
                graph + graph.T,
                graph + 2 * graph.T,
                graph + extra,
                graph.tocsr()[:, :-1],
                graph.toarray(),
            ),
        )
    form = one(rng, ("tocsr", "tocsc", "tocoo"))
    graph = getattr(graph, form)() if sparse.issparse(graph) else graph
    return {"graph": graph} | ({"root": one(rng, (0, 0, n - 1, n - 1, n, -1, "a"))} if chance(rng, 0.4) else {})


def _linkage(rng: Any, n: int) -> dict[str, Any]:
    from scipy.cluster.hierarchy import linkage

    method = one(rng, ("single", "complete", "average", "ward", "centroid", "median"))
    given: dict[str, Any] = {"Z": linkage(rng.random((n, 2)), method) if n > 1 else np.empty((0, 4))}
    labels = one(rng, ([f"leaf {i}" for i in range(n)], [f"leaf {i}" for i in range(n + 1)], list(range(n)), "abc"))
    return given | ({"labels": labels} if chance(rng, 0.3) else {})


def _paths(rng: Any, n: int) -> dict[str, Any]:
    sep = one(rng, ("/", "/", "::"))
    routes = {sep.join(one(rng, "abcd") for _ in range(int(rng.integers(1, 5)))) for _ in range(n)}
    given: dict[str, Any] = {"paths": sorted(routes)}
    given |= {"sep": one(rng, (sep, sep, sep, sep, "", "/", None))} if sep != "/" or chance(rng, 0.2) else {}
    lengths = (2, 0.5, [4, 2, 1, 1], (3, 2, 1, 0.5, 0.25), [1], [], -1, "1", [[1]], np.nan)
    return given | ({"lengths": one(rng, lengths)} if chance(rng, 0.5) else {})


def _shipped(rng: Any, n: int) -> dict[str, Any]:
    return one(rng, ({}, {"which": "1k"}, {"which": "1k"}, {"which": "21k"}, {"which": "22k"}, {"which": 1000}))


SPACES: dict[str, Callable[[Any, int], dict[str, Any]]] = {
    "Chain": _chain,
    "Ring": _ring,
    "Tree": _tree,
    "Tree.from_edges": _edges,
    "Tree.from_sparse": _sparse,
    "Tree.from_linkage": _linkage,
    "Tree.from_paths": _paths,
    "Tree.imagenet": _shipped,
}


MERGES = [[0, 1, 2.0, 2], [2, 3, 6.0, 3]]
REFUSED: tuple[tuple[str, dict[str, Any]], ...] = (
    *(("Tree.from_edges", {"edges": edges}) for edges in (
        [(0, 1), (2, 3), (1, 0)], [("a", "b"), ("b", "c"), ("c", "a")], [("a", "b"), ("c", "d"), ("d", "c")],
        [(0, 1), (1, 1)], [("a", "b"), ("c", "d")], [(0, 1), (1, 3)], [(0, 1), (-1, 0)], [(0, 2**70)], [(False, True)],
        [("a", ["b"])], [(0, 1, 2.0)], [(0, 1), 5], ["ab"], np.eye(3, dtype=int), np.arange(4), "ab", 5, [(0.0, 1)],
        np.array([[0, 1], [2, 3], [3, 2]]), np.array([[0, 1], [1, 5]]), [(0, "a"), ("a", None)],
    )),
    *(("Tree.from_edges", {"edges": [("a", "b"), ("b", "c")]} | options) for options in (
        {"lengths": [1]}, {"lengths": [1, -1]}, {"lengths": [[1, 1]]}, {"root": "d"}, {"root": []},
        {"bins": ["a", "d"]},
        {"bins": "ab"}, {"bins": ["a", "a"]}, {"bins": []}, {"labels": "abc"}, {"labels": ["x"]}, {"labels": [1, 2, 3]},
    )),
    *(("Tree.from_edges", {"edges": edges} | options) for edges, options in (
        ([], {"lengths": [1]}), ([], {}), ([(0, 1)], {"root": 2}), ([(0, 1)], {"root": -1}), ([(0, 1)], {"root": "a"}),
        ([(0, 1)], {"root": True}), ([(0, 1)], {"bins": [0, 2]}), ([(0, 1)], {"bins": [0, 0]}),
    )),
    *(("Tree.from_linkage", {"Z": merges}) for merges in (
        [[0, 1, 2]], [["0", "1", "2", "2"]], [[0, 1, 2, 2], [2, 4, 6, 3]], [[0, -1, 2, 2]], [[0.5, 1, 2, 2]],
        [[np.nan, 1, 2, 2]], [[0, 1, 2, 2], [1, 3, 6, 3]], [[0, 1, 2, 2], [2, 3, 1.5, 3]], [[0, 1, -2, 2]],
        [[0, 1, np.nan, 2]], [[0, 1, np.inf, 2]], [[0, 1, 2, 2], [2, 3]], np.empty((0, 4)), MERGES,
    )),
    *(("Tree.from_linkage", {"Z": MERGES, "labels": labels}) for labels in (["x"] * 5, "abc", [1, 2, 3], None, 5)),
    *(("Tree.from_paths", {"paths": paths}) for paths in (
        [], "a/b", ["a", ("a", "b")], ["a", "/a/b"], ["a//b"], [""], ["a", "b", "a"], 5, ["a/b", "a"], ("x", "y/z"),
    )),
    *(("Tree.from_paths", {"paths": ["a/b/c"], "lengths": x}) for x in (
        [1], [], -1, "1", [[1]], [1, np.nan], [1, 2, 3],
    )),
    *(("Tree", {"parent": parent, "length": np.ones(np.size(parent))}) for parent in (
        [-1, -1, 0], [1, 0], [-1, 2, 1], [0, 1], [-1, 3], [-2, 0], [-1.0, 0.0], [], 3, [[-1, 0]], "ab",
        [-1, 2, 3, 4, 1], [-1, *range(2, 13), 1], [1, 2, 3, 4, 5, 6, 7, 8, 9, 0],
    )),
    *(("Tree", {"parent": [-1, 0, 0], "length": [0, 1, 2]} | options) for options in (
        {"length": [0, 1]}, {"length": [0, -1, 1]}, {"length": [np.nan, 1, 1]}, {"length": [0, np.inf, 1]},
        {"length": [0, 1e308, 1e308]}, {"length": ["a"] * 3}, {"length": [[0, 1], [1]]}, {"bins": [0, 3]},
        {"bins": [-1]}, {"bins": [1, 1]}, {"bins": []}, {"bins": [0.0]}, {"bins": [[0]]}, {"labels": ["a"]},
        {"labels": "abc"}, {"labels": [1, 2, 3]}, {"labels": 5},
    )),
    *(("Chain", {"positions": x}) for x in (
        [], [[0, 1]], ["a"], [0, np.nan], [0, np.inf], [0, 0], [1, 0], [-1.7e308, 1.7e308], [0, 1j], [[0], [1, 2]], 3,
    )),
    *(("Chain", options) for options in (
        {}, {"n": 0}, {"n": 2, "positions": [0, 1, 2]}, {"n": 2.0}, {"n": np.int8(3)},
    )),
    *(("Ring", {"lengths": x}) for x in (
        [], [[0, 1]], ["a"], [0, np.nan], [0, np.inf], [0, 0], [-1, 0], [1.7e308, 1.7e308], [0, 1j], 3, [-0.0, 1],
    )),
    *(("Ring", options) for options in ({}, {"n": 0}, {"n": 2, "lengths": [0, 1, 2]}, {"n": -2}, {"n": np.int8(3)})),
)  # fmt: skip


def refused_call(rng: Any, name: str) -> Call:
    """Return one of the calls of constructors and builders that are known to be refused, or stand on the border."""
    name, given = one(rng, REFUSED)
    return Call(name, functools.partial(looked_at, built(name)), dict(given))


def graph_call(rng: Any, name: str) -> Call:
    """Return a call of Tree.from_sparse with a graph that is no tree, or hardly one."""
    from scipy import sparse

    entries = one(
        rng,
        (
            {(0, 1): 1, (2, 2): 1},
            {(0, 1): 1, (1, 2): 1, (2, 0): 1},
            {(0, 1): 1},
            {(0, 1): 1, (1, 2): 2, (2, 1): 3},
            {(0, 1): 1, (1, 2): -2},
            {(0, 1): 1j, (1, 2): 1},
            {(0, 1): 0, (1, 2): 2, (2, 1): 2},
            {(1, 0): 0.5, (2, 1): np.nan},
        ),
    )
    n = one(rng, (3, 3, 3, 4))
    rows, columns = zip(*entries, strict=True)
    graph = sparse.coo_array((list(entries.values()), (rows, columns)), shape=(n, n))
    empty = (
        sparse.coo_array((2, 3)),
        sparse.coo_array((0, 0)),
        sparse.coo_array((1, 1)),
        np.eye(3),
        sparse.coo_array((4, 4)),
    )
    graph = one(rng, (graph, graph, graph, *empty[:1], one(rng, empty)))
    return Call("Tree.from_sparse", functools.partial(looked_at, fe.Tree.from_sparse), {"graph": graph})


def threads_call(rng: Any, name: str) -> Call:
    """Return a call that sets the number of threads and, at times, answers some many rows with them."""
    count = one(rng, (1, 2, 3, 8, np.int8(2), 0, -1, 2.0, "2", None, True, np.True_, [1], 10**30))
    a = histograms(rng, (60,), 5000, "float32") if chance(rng, 0.5) else None

    def call(count: Any) -> Any:
        answer = fe.set_num_threads(count), fe.get_num_threads()
        return answer if a is None else (*answer, fe.emd_value_and_grad(a, a[::-1], fe.Ring(5000), rho=1))

    return Call("set_num_threads", call, {"count": count})


def other_call(rng: Any, name: str) -> Call:
    """Return a call of something small."""
    spaces = ([fe.Chain(3)], (fe.Ring(2), fe.Chain(2)), None, fe.Chain(3), [3], 5, [])
    dtypes = ((np.float32,), ["float64", "float16"], [int], [complex], ["x"], "f", 3, [np.longdouble], [None])
    given = {
        "spaces": one(rng, spaces),
        "dtypes": one(rng, dtypes),
        "rhos": one(rng, ([1], (2, 3), [0.5], ["a"], 2, [])),
    }
    calls = (
        Call("warmup", fe.warmup, {key: value for key, value in given.items() if chance(rng, 0.6)}),
        Call("module", lambda: (fe.__all__, dir(fe), fe.__version__), {}),
        Call("module", lambda: fe.nothing, {}),
        Call("module", lambda: [getattr(fe.reference, name).__name__ for name in fe.reference.__all__], {}),
        Call("cuda.is_available", lambda: (bool(fe.cuda.is_available()), str(fe.cuda.is_available())), {}),
        Call("SinkhornWarning", fe.SinkhornWarning, {"message": one(rng, JUNK)}),
        Call("SinkhornResult", fe.SinkhornResult, {"value": 1}),
        Call("DivergenceResult", fe.DivergenceResult, dict.fromkeys(fe.DivergenceResult.__dataclass_fields__, 1)),
    )
    return calls[0] if chance(rng, 0.6) else one(rng, calls)


REFERENCE = tuple(name for name in PAIRED if name != "check")
DRAWS: tuple[tuple[float, Callable[..., Call], tuple[str, ...], bool], ...] = (
    (0.43, pair_call, (*PAIRED, "emd", "emd_value_and_grad", "emd_value_and_grad"), False),
    (0.08, logits_call, ("emd_with_logits",), False),
    (0.11, sinkhorn_call, ("sinkhorn", "sinkhorn", "sinkhorn_divergence"), False),
    (0.05, pair_call, REFERENCE, True),
    (0.01, logits_call, ("emd_with_logits",), True),
    (0.015, sinkhorn_call, ("sinkhorn", "sinkhorn_divergence"), True),
    (0.09, torch_call, ("emd_loss",), False),
    (0.02, torch_call, ("EMDLoss",), False),
    (0.012, jax_call, ("emd_loss",), False),
    (0.008, threads_call, ("set_num_threads",), False),
    (0.015, other_call, ("",), False),
    (0.05, refused_call, ("",), False),
    (0.01, graph_call, ("",), False),
    (1.0, space_call, ("",), False),
)


def draw(rng: Any) -> Call:
    """Return a call."""
    edges = np.cumsum([share for share, *_ in DRAWS])
    _, make, names, reference = DRAWS[int(np.searchsorted(edges, rng.random(), "right"))]
    return make(rng, one(rng, names), True) if reference else make(rng, one(rng, names))
