"""Which gradient a call asks a kernel for, on either backend."""

# What is subtracted from the potential: its value at the root, its mean over the bins, its mean over the row's mass.
UNCENTRED, CENTRED, EXPECTED = 0, 1, 2
# What is returned: the potential itself, the gradient with respect to a, or the gradient with respect to b.
POTENTIAL, WRT_A, WRT_B = 0, 1, 2
