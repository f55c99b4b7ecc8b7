"""Arrays of the caller: reading them, checking them against each other, making the answer beside them."""
