"""What kernels on a GPU are made of: instructions, dtypes, thread groups, memory."""
