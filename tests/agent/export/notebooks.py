"""Validates notebooks with the libraries that read them."""

from typing import Any

import nbformat


def check_notebook(text: str) -> Any:
    """The notebook, if nbformat accepts it without a repair."""
    notebook = nbformat.reads(text, as_version=nbformat.NO_CONVERT)  # type: ignore[no-untyped-call]
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    return notebook
