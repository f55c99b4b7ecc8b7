"""Phylogenies and tables of counts: UniFrac, and trees from Newick, scikit-bio and networkx."""
