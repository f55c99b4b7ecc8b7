"""Sinkhorn's iteration on the CPU: the Gibbs kernel of each space or matrix, and the solver."""
