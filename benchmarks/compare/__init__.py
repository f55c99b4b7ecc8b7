"""The comparison with other solvers on real histograms, as `fastemd compare` runs it.

packages.py finds what is installed; cases.py makes histograms out of photographs and nouns. solvers.py is the table of
solvers, solver.py what a row of it is; the rows are in exact.py, formulas.py and entropic.py. contenders.py times what
they do and memory.py how much they hold; measure.py lets them take turns, on the cases, and in sizes.py on longer and
longer chains. accuracy.py finds the cheapest setting for an error. report.py writes tables and figures; pictures.py,
with examples.py, and curves.py draw. run.py is all of it, one after the other.

All but fastemd's own dependencies is optional here, and is imported when it is needed.
"""
