"""The CPU wing: numba kernels that take eight rows at a time.

`lanes`, `rows` and `blocks` bring eight rows into vector registers; `chain`, `ring` and `tree` sweep them, which is
where the method is; `kernels` are what is compiled and called; `wing` is the door.
"""
