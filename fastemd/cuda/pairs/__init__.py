"""All pairs of rows on a CUDA device."""
