"""How Sphinx makes the pages of `docs/`: `make docs`."""

import sys
from importlib.metadata import version as version_of
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

project = "lstm_probe"
author = "The lstm_probe authors"
copyright = author
version = release = version_of("lstm-probe")
extensions = ["sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon", "myst_parser", "declared"]

html_theme = "furo"
html_title = f"lstm_probe {release}"
html_copy_source = html_show_sphinx = False
html_static_path = ["static"]
html_css_files = ["wrap.css"]

# Headings of a page can be linked to by their words, as on the pages of a repository.
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]

autosummary_generate = False
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
maximum_signature_line_length = 88
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
default_role = "named"  # of declared.py: single quotes of a docstring name things, ours or not

# What is not ours has no page here to link to.
nitpick_ignore_regex = [("py:.*", r"(?!lstm_probe\.).*")]
