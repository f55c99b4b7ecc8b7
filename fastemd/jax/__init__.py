"""The Earth Mover's Distance as a loss of JAX: under jit, vmap and grad, on the CPU and on a GPU.

>>> import jax, fastemd as fe
>>> from fastemd.jax import emd_loss
>>> loss, grad = jax.value_and_grad(emd_loss)(jax.numpy.zeros((2, 3)), jax.numpy.array([0, 2]), fe.Chain(3))
>>> round(float(loss), 4)
0.5556
"""

from .loss import emd_loss

__all__ = ["emd_loss"]
