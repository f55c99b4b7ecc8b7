"""The experiments of the paper: what it claims of the relaxed distance, put to the test on data that can be had here.

``python -m benchmarks.paper convergence`` (or ``sinkhorn_limits``, ``ordinal``, ``wordnet``) runs an experiment, writes
``benchmarks/results/paper-convergence.json``, and makes from that file alone the table and the picture under
``docs/generated``. ``python -m benchmarks.paper tables`` makes those anew. ``imagenet`` is the training script for a
folder of pictures that you have; its results go where you say.

An experiment is a module with these names:

========================= ==============================================================================
``PACKAGES``              whose versions are recorded
``add_arguments(parser)`` its own options
``run(options)``          what was measured, fit for JSON; ``options`` has ``quick``, ``seeds`` and its own
``page(result)``          its tables in Markdown
``draw(result, path)``    its picture; or ``PICTURES``, a function like that for each name of several
========================= ==============================================================================
"""
