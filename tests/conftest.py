"""Settings of the tests: where the CUDA backend runs, and no deadline for Hypothesis."""

import os

from tests.support.gpu import obstacle

# Before anything loads numba: where there is no device, its simulator stands in for one.
if obstacle():
    os.environ["NUMBA_ENABLE_CUDASIM"] = "1"

from hypothesis import settings

# A kernel is compiled within the example that needs it first, which takes longer than any deadline.
settings.register_profile("kernels", deadline=None)
settings.load_profile("kernels")
