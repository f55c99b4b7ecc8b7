"""The limits of Sinkhorn's iteration, beside the closed form."""
