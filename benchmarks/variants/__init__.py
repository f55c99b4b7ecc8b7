"""The suite of variants: what else was tried for the hot kernels."""
