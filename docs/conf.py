"""Sphinx's configuration: Markdown pages (MyST), the furo theme."""

from importlib.metadata import version as version_of

project = "refcache"
author = "refcache contributors"
project_copyright = author
release = version_of("refcache")
version = release

extensions = ["myst_parser"]
exclude_patterns = ["_build"]
nitpicky = True

# Links to headings: #refcache-e001 of the checks' page, for one.
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]

html_theme = "furo"
html_title = f"refcache {release}"
