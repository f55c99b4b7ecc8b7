"""The loss in plain jax, at rho = 2: softmax, flows as prefix sums or differences of two, mean."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import fastemd as fe

from ..compare.formulas import subtrees


def formulas(space: fe.Chain | fe.Tree) -> dict[str, Callable]:
    """Return the mean loss of logits against class indices, by the words that tell the ways apart."""
    import jax
    import jax.numpy as jnp

    def probabilities_less_target(z: object, y: object) -> object:
        return jax.nn.softmax(z).at[jnp.arange(len(z)), y].add(-1.0)

    def chain(z: object, y: object) -> object:
        return jnp.square(jnp.cumsum(probabilities_less_target(z, y), -1)[:, :-1]).sum(-1).mean()

    if space.kind == "chain":
        return {"": chain}
    order, first, beyond, length = subtrees(space)
    weight = jnp.asarray(length, dtype=jnp.float32)

    def tree(z: object, y: object) -> object:
        sums = jnp.pad(jnp.cumsum(probabilities_less_target(z, y)[:, order], -1), ((0, 0), (1, 0)))
        return (jnp.square(sums[:, beyond] - sums[:, first]) @ weight).mean()

    below = np.zeros((len(length), space.n), np.float32)
    for k, (start, stop) in enumerate(zip(first, beyond, strict=True)):
        below[k, order[start:stop]] = 1.0
    dense, edges = jnp.asarray(below.T), weight

    def tree_by_matrix(z: object, y: object) -> object:
        return (jnp.square(probabilities_less_target(z, y) @ dense) @ edges).mean()

    return {", prefix sums": tree, ", dense matrix": tree_by_matrix}
