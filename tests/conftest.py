"""Settings of the tests."""

from hypothesis import settings

# A kernel is compiled within the example that needs it first, which takes longer than any deadline.
settings.register_profile("kernels", deadline=None)
settings.load_profile("kernels")
