"""Pictures of spaces, flows, potentials and plans. They need matplotlib: ``pip install 'fastemd[plot]'``."""

from .api import flow, plan, potential, space

__all__ = ["flow", "plan", "potential", "space"]
