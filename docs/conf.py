"""How Sphinx builds the documentation: from the root, so that README and SECURITY are pages, without the network."""

from importlib import metadata

project = "Cellblock"
release = metadata.version("cellblock")
root_doc = "docs/index"
include_patterns = ["*.md", "docs/**.md"]
exclude_patterns = [".*", "build", "dist", "tests"]
extensions = ["myst_parser"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = f"Cellblock {release}"
html_extra_path = ["site"]
html_show_copyright = False
html_show_sphinx = False
html_copy_source = False
