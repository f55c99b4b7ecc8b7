"""Classifiers over ordered classes."""
