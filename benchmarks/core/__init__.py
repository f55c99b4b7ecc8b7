"""The suite of the CPU core."""
