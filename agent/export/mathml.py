"""Formulas as MathML, which a browser shows without a script. latex2mathml reads LaTeX; what it gives is untrusted."""

import html
import re
from collections.abc import Iterator
from importlib import import_module
from xml.etree.ElementTree import Element

MAX_FORMULA_CHARS = 2_000
_TAGS = frozenset((
    *("math", "mrow", "mi", "mn", "mo", "ms", "mtext", "mspace", "mfrac", "msqrt", "mroot", "mstyle", "mpadded"),
    *("msub", "msup", "msubsup", "munder", "mover", "munderover", "mmultiscripts", "mprescripts", "none"),
    *("mtable", "mtr", "mtd", "menclose"),
))  # fmt: skip
_ATTRIBUTES = frozenset((
    *("display", "displaystyle", "scriptlevel", "mathvariant", "stretchy", "fence", "form", "separator", "accent"),
    *("accentunder", "largeop", "movablelimits", "symmetric", "lspace", "rspace", "width", "minsize", "maxsize"),
    *("linethickness", "columnalign", "columnspacing", "rowspacing", "columnlines", "rowlines", "notation"),
))  # fmt: skip
_VALUE = re.compile(r"[a-z][a-z -]{0,40}|(?:-?\d?(?:\.\d{1,4})?(?:em|ex|pt)? ?){1,8}", re.IGNORECASE)
"""A word, or sizes of less than ten units: no formula covers what is beside it."""
_ENVIRONMENTS = {"align": "align*", "aligned": "split", "gather": "matrix", "gather*": "matrix", "gathered": "matrix"}
_ROW_SPACE = re.compile(r"(?<=\\\\)\[-?[\d.]+(?:pt|em|ex|mm|cm)\]")
_ENVIRONMENT = re.compile(r"\\(begin|end)\{([a-z]+\*?)\}")


def mathml(latex: str, *, is_block: bool) -> str | None:
    """The formula as MathML; None if it is too long, or not understood."""
    if len(latex) > MAX_FORMULA_CHARS:
        return None
    known = _ENVIRONMENT.sub(lambda match: f"\\{match[1]}{{{_ENVIRONMENTS.get(match[2], match[2])}}}", latex)
    known = _ROW_SPACE.sub("", known)
    try:
        converter = import_module("latex2mathml.converter")  # takes 50 ms, so only a formula loads it
        element = converter.convert_to_element(known.strip(), display="block" if is_block else "inline")
        return "".join(_written(element))
    except Exception:  # a formula can be wrong in any way, and the parser fails in many
        return None


def _written(element: Element) -> Iterator[str]:
    """The element and what is in it. Raises ValueError if it could act, or if it shows what was not understood."""
    text = html.unescape(element.text or "").strip("\n")
    if element.tag not in _TAGS or text == "&" or (text.startswith("\\") and element.tag == "mi"):
        raise ValueError(element.tag)
    yield f"<{element.tag}"
    for name, value in element.attrib.items():
        if name in _ATTRIBUTES and value != "inline" and _VALUE.fullmatch(value):
            yield f' {name}="{html.escape(value)}"'
    yield ">"
    yield html.escape(text)
    for child in element:
        yield from _written(child)
    yield f"</{element.tag}>"
