"""Fixtures of the tests on a device, simulated or real."""

from tests.support.adapters import adapter
from tests.support.devices import cupy, torch

__all__ = ["adapter", "cupy", "torch"]
