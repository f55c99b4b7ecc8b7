"""The suite of compiled CUDA kernels, which needs neither a GPU nor a driver."""
