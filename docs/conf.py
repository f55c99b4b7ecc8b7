"""Sphinx's settings; `make docs` builds the pages and takes a warning for an error."""

from importlib.metadata import version as installed_version

project = "fastemd"
author = "fastemd contributors"
copyright = "2026, fastemd contributors"
version = release = installed_version("fastemd")

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",  # the pages need no network
]
exclude_patterns = ["_build", "generated"]  # generated/ holds tables that other pages include
myst_enable_extensions = ["amsmath", "dollarmath", "fieldlist"]
myst_heading_anchors = 3

autosummary_generate = True
autodoc_mock_imports = ["dask", "distributed", "jax", "sklearn", "torch"]  # the pages of the adapters need none of them
autodoc_typehints = "none"  # numpydoc's Parameters sections say more
numpydoc_show_class_members = False  # the class pages list their own members
numpydoc_xref_param_type = False

html_theme = "furo"
html_title = f"fastemd {release}"
templates_path = ["_templates"]
