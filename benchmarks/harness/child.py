"""Figures that only a fresh process can give: ``python -m benchmarks.harness.child WHAT [ARGUMENT]`` prints it as JSON.

`import`: seconds that importing fastemd takes after numpy, and which foreign packages that loads; names are loaded when
first used, so also the seconds until there is a first space.
`call`: seconds from before the import of fastemd (numpy being there) to the first answer, numba's own import included.
`memory`: how many bytes emd_with_logits on so many rows needs at its peak, beside its inputs and its output.
`loss_memory`: how many bytes EMDLoss needs at its peak, and how many of them are the gradient.
"""

import gc
import json
import sys
import threading
import time

import numpy as np

from .memory import rise_of

ROWS = 16
WARM_ROWS = 8  # one block of rows, so one thread


def import_time():
    before = set(sys.modules)
    begin = time.perf_counter()
    import fastemd

    seconds = time.perf_counter() - begin
    fastemd.Chain(3)
    with_a_space = time.perf_counter() - begin
    ours = {fastemd.__name__, "numpy", *sys.stdlib_module_names}
    loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
    return {
        "seconds": seconds,
        "with a space": with_a_space,
        "loaded": sorted(name for name in loaded - ours if not name.startswith("__editable__")),
    }


def first_call(what):
    rng = np.random.default_rng(0)
    kind, _, answer = what.partition(" ")
    a, b = rng.dirichlet(np.ones(64), size=(2, ROWS)).astype(np.float32)
    begin = time.perf_counter()
    import fastemd as fe

    space = {
        "chain": lambda: fe.Chain(64),
        "ring": lambda: fe.Ring(64),
        "tree": lambda: fe.Tree(np.append(-1, np.zeros(64, int)), np.ones(65), bins=np.arange(1, 65)),
    }[kind]()
    if answer == "value":
        fe.emd(a, b, space)
    elif answer == "gradient":
        fe.emd_value_and_grad(a, b, space)
    else:
        fe.emd_with_logits(a, np.zeros(ROWS, int), space)
    return {"seconds": time.perf_counter() - begin}


def memory(what):
    """Bytes that emd_with_logits needs beside its inputs and its output; the values, 4 bytes a row, are counted.

    The kernel is compiled in a thread that then ends, so that no scratch kept for it hides in the figure; inputs and
    output have been written, so their pages are there.
    """
    import fastemd as fe

    kind, _, rows = what.partition(" ")
    fe.set_num_threads(2)
    space = _space_of_1000(fe, kind)
    rng = np.random.default_rng(0)
    z = rng.standard_normal((int(rows), space.n), dtype=np.float32)
    target = rng.integers(space.n, size=len(z))
    out = np.ones_like(z)

    def warm():
        fe.emd_with_logits(z[:WARM_ROWS], target[:WARM_ROWS], space, out=out[:WARM_ROWS])

    thread = threading.Thread(target=warm)
    thread.start()
    thread.join()
    gc.collect()
    peak = rise_of(lambda: fe.emd_with_logits(z, target, space, out=out))
    return {"bytes": peak, "nodes": getattr(space, "n_nodes", space.n)}


def loss_memory(kind):
    """Bytes that a forward and a backward pass of EMDLoss needs, the gradient included."""
    import torch

    import fastemd as fe
    from fastemd.torch import EMDLoss

    fe.set_num_threads(2)
    torch.set_num_threads(2)
    loss = EMDLoss(_space_of_1000(fe, kind))
    loss(torch.randn(WARM_ROWS, 1000).requires_grad_(), torch.randint(0, 1000, (WARM_ROWS,))).backward()
    z, target = torch.randn(4096, 1000).requires_grad_(), torch.randint(0, 1000, (4096,))
    return {"peak": rise_of(lambda: loss(z, target).backward()), "gradient": z.grad.nbytes}


def _space_of_1000(fe, kind):
    return fe.Chain(1000) if kind == "chain" else fe.Tree.imagenet()


if __name__ == "__main__":
    measures = {"import": import_time, "call": first_call, "memory": memory, "loss_memory": loss_memory}
    print(json.dumps(measures[sys.argv[1]](*sys.argv[2:])))
