"""Vector registers: eight rows side by side, as float64."""
