"""The comparison with other solvers on real histograms: ``python -m benchmarks.compare``.

========================================== ===========================================================================
packages                                   what is installed, and what to install
cases, sizes                               histograms from photographs and nouns; smooth ones on chains of many lengths
solver, solvers                            a row of the table of solvers, and the table
exact, formulas, entropic                  the rows
contenders, measure                        solvers ready to be timed; a comparison, in which they take turns
accuracy                                   the cheapest setting of a solver that reaches an error
report, pictures, examples, curves         tables, CSV and pictures
run, suite                                 a whole run, and the one that the documentation is made from
========================================== ===========================================================================

Packages other than fastemd's own dependencies are optional here, and are imported when they are needed.
"""
