"""Formulas of numbers, which both backends compile: numbers in, numbers out, and no import of the package."""
