"""The comparison with other solvers on real histograms, as `fastemd compare` runs it.

packages.py finds what is installed; cases.py makes histograms out of photographs and nouns; solvers.py is the table of
solvers; measure.py times them; report.py writes tables and figures, and pictures.py draws.

All but fastemd's own dependencies is optional here, and is imported when it is needed.
"""
