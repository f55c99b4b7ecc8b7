"""Sphinx's settings; `make docs` builds the pages and takes a warning for an error."""

import sys
from importlib.metadata import version as installed_version
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
import figures  # noqa: E402

project = "fastemd"
author = "fastemd contributors"
copyright = "2026, fastemd contributors"
version = release = installed_version("fastemd")

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",  # the pages need no network
]
exclude_patterns = ["_build", "examples", "generated"]  # generated/ holds tables that other pages include
suppress_warnings = ["config.cache"]  # of the gallery, whose settings hold functions
myst_enable_extensions = ["amsmath", "colon_fence", "dollarmath", "fieldlist"]
myst_heading_anchors = 3

autosummary_generate = True
autodoc_mock_imports = ["dask", "distributed", "jax"]  # the pages of the adapters need none of them
autodoc_typehints = "none"  # numpydoc's Parameters sections say more
numpydoc_show_class_members = False  # the class pages list their own members
numpydoc_xref_param_type = False

html_theme = "pydata_sphinx_theme"
html_title = f"fastemd {release}"
html_static_path = ["_static"]
html_css_files = ["fastemd.css"]
html_theme_options = {
    "logo": {"text": "fastemd"},
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "header_links_before_dropdown": 7,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_sidebars = {page: [] for page in ("index", "method", "start")}
html_context = {"default_mode": "auto"}
html_favicon = "_static/favicon.svg"
html_show_sourcelink = False
templates_path = ["_templates"]

sphinx_gallery_conf = {
    "examples_dirs": ["examples"],
    "gallery_dirs": ["gallery"],
    "filename_pattern": r"\.py$",
    "within_subsection_order": "FileNameSortKey",
    "matplotlib_animations": True,
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_signature": False,
    "remove_config_comments": True,
    "capture_repr": (),
}


def setup(app):
    """Draw the figures of the method before the pages are read."""
    app.connect("builder-inited", lambda app: figures.draw())
