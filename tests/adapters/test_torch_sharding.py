"""The loss of DTensors: rows distributed over processes."""

import os
import socket
import subprocess
import sys

RANK = """
import sys, warnings
import torch, torch.distributed as dist
from torch.distributed.tensor import Replicate, Shard, distribute_tensor, init_device_mesh
import fastemd as fe
from fastemd.torch import emd_loss

dist.init_process_group("gloo", rank=int(sys.argv[1]), world_size=2)
mesh = init_device_mesh("cpu", (2,))
torch.manual_seed(0)
z, y = torch.randn(4, 5), torch.tensor([0, 1, 2, 4])
soft = torch.randn(4, 5).softmax(-1)
for placement in (Shard(0), Replicate()):
    for target in (y, soft):
        for reduction in ("mean", "sum", "none"):
            own = distribute_tensor(z, mesh, [placement]).requires_grad_()
            loss = emd_loss(own, distribute_tensor(target, mesh, [placement]), fe.Ring(5), reduction=reduction)
            loss.sum().backward()
            plain = z.clone().requires_grad_()
            expected = emd_loss(plain, target, fe.Ring(5), reduction=reduction)
            expected.sum().backward()
            torch.testing.assert_close(loss.full_tensor(), expected)
            torch.testing.assert_close(own.grad.full_tensor(), plain.grad)
dist.destroy_process_group()
"""


def test_rows_on_two_processes_have_the_loss_and_gradient_of_one():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    where = os.environ | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    ranks = [
        subprocess.Popen([sys.executable, "-c", RANK, str(rank)], env=where, stderr=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    errors = [rank.communicate(timeout=240)[1] for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, 0], errors
