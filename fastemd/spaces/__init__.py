"""The spaces that histograms lie on: chains, rings and trees.

A space has ``n`` bins and ``m`` edges, edge e of length ``lengths[e] >= 0``. The distance of two bins is the length of
the shortest path between them. The Earth Mover's Distance is the cost of moving mass along those paths.
"""

from .base import ChainArrays, RingArrays, Space, TreeArrays
from .chain import Chain
from .ring import Ring
from .tree import Tree

__all__ = ["Chain", "ChainArrays", "Ring", "RingArrays", "Space", "Tree", "TreeArrays"]
