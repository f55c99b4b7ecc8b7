"""What other libraries make of the same problems."""
