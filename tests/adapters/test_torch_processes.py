"""fastemd.torch between processes and copies: forked workers, DistributedDataParallel, checkpoints, pickles."""

import copy
import io
import os
import pickle
import socket

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, Dataset

import fastemd as fe
from fastemd.torch import EMDLoss, emd_loss
from tests.support.torch_problems import TREE

Z = torch.tensor([[0.3, -1.0, 2.0, 0.0, 0.5], [1.0, 1.0, -0.5, 0.2, 0.1], [0.0, 3.0, 0.0, -2.0, 1.0], [1.0] * 5])
Y = torch.tensor([4, 0, 2, 1])


class Losses(Dataset):
    """Items that are computed by the loss, gradient included, in the process that is asked for them."""

    def __init__(self, loss):
        self.loss = loss

    def __len__(self):
        return len(Z)

    def __getitem__(self, i):
        z = Z[i].clone().requires_grad_()
        self.loss(z, Y[i]).backward()
        return z.grad


def gradients(loss):
    return torch.stack([Losses(loss)[i] for i in range(len(Z))])


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:os.fork.. was called:RuntimeWarning")  # by jax, where other tests have loaded it
def test_forked_workers_compute_after_their_parent_has():
    loss = EMDLoss(TREE)
    big = torch.randn(4096, 100), torch.randint(0, 100, (4096,))
    emd_loss(*big, fe.Chain(100))  # large enough to have started the threads, which do not survive a fork
    expected = gradients(loss)
    loader = DataLoader(Losses(loss), batch_size=2, num_workers=2, multiprocessing_context="fork")
    assert torch.equal(torch.cat(list(loader)), expected)


def train(rank, port, folder):
    """One step of data-parallel training in one of two processes."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    dist.init_process_group("gloo", rank=rank, world_size=2)
    torch.manual_seed(0)
    net = DistributedDataParallel(torch.nn.Linear(3, 5))
    loss = DistributedDataParallel(EMDLoss(TREE, learn_lengths=True))
    x, y = torch.arange(12.0).reshape(4, 3)[2 * rank : 2 * rank + 2], Y[2 * rank : 2 * rank + 2]
    loss(net(x), y).backward()
    torch.save([p.grad for p in (*net.parameters(), *loss.parameters())], f"{folder}/{rank}.pt")
    dist.barrier()
    os._exit(0)  # to take a group of gloo down may wait for the GIL that it holds: seen here with torch 2.13


def test_two_processes_of_data_parallel_training_have_the_gradient_of_one(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.spawn(train, (port, str(tmp_path)), nprocs=2)
    torch.manual_seed(0)
    net, loss = torch.nn.Linear(3, 5), EMDLoss(TREE, learn_lengths=True)
    loss(net(torch.arange(12.0).reshape(4, 3)), Y).backward()
    for rank in range(2):
        for got, p in zip(torch.load(tmp_path / f"{rank}.pt"), (*net.parameters(), *loss.parameters()), strict=True):
            torch.testing.assert_close(got, p.grad)


@pytest.mark.parametrize("reentrant", [False, True])
def test_a_checkpointed_loss_has_the_same_gradient(reentrant):
    grads = []
    for run in (lambda z: emd_loss(2 * z, Y, TREE), lambda z: checkpoint(
        lambda z: emd_loss(2 * z, Y, TREE), z, use_reentrant=reentrant
    )):  # fmt: skip
        z = Z.clone().requires_grad_()
        run(z).backward()
        grads.append(z.grad)
    assert torch.equal(*grads)


@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x)), lambda x: saved_and_loaded(x)],
    ids=["copy", "deepcopy", "pickle", "torch.save"],
)
@pytest.mark.parametrize("space", [fe.Chain(5), fe.Ring(5), TREE], ids=lambda space: space.kind)
def test_copies_of_a_module_answer_the_same(copied, space):
    loss = EMDLoss(space, rho=3, weight=torch.rand(5), ignore_index=2, label_smoothing=0.1, learn_lengths=True)
    loss(Z, Y).backward()
    again = copied(loss)
    assert again.space == space
    assert again(Z, Y) == loss(Z, Y)


def saved_and_loaded(module):
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


def test_state_is_the_weight_and_the_learned_lengths():
    loss = EMDLoss(TREE, weight=torch.rand(5), learn_lengths=True)
    assert list(loss.state_dict()) == ["log_lengths", "weight"]
    assert list(EMDLoss(TREE).state_dict()) == []
    again = EMDLoss(TREE, weight=torch.rand(5), learn_lengths=True)
    with torch.no_grad():
        loss.log_lengths += torch.rand(6)
    again.load_state_dict(loss.state_dict())
    assert again(Z, Y) == loss(Z, Y)
    assert EMDLoss(TREE, weight=torch.rand(5)).double().weight.dtype == torch.float64
