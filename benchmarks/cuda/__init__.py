"""The suite of a GPU."""
