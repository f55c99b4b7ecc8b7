"""Classifiers of glosses over the tree of nouns."""
