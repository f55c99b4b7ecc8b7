"""The exact and the relaxed distance on the CPU: sweeps of eight rows, and the kernels made of them."""
