"""The CPU backend: numba kernels that compute eight rows at a time.

`simd` loads eight rows into vector registers. `exact` and `entropic` hold the sweeps of each space, the kernels that
call them, and `launch`, which the calls of the package use. `compilation` compiles kernels and caches them on disk.
"""
