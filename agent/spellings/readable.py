"""Turns an answer into plain text: no code, no Markdown or LaTeX marks, and the punctuation of ASCII."""

import re
import unicodedata

_CODE_FENCE = re.compile(r"```[ \t]*(?:python|py|json|tool_call)\b.*?(?:```|\Z)", re.DOTALL | re.IGNORECASE)
_JSON_FENCE = re.compile(r"```[ \t]*json\b", re.IGNORECASE)
_COMMANDS = re.compile(r"\\(?:boxed|text|mathrm|mathbf|textbf|left|right|displaystyle|num)\b")
_FRACTION = re.compile(r"\\[dt]?frac\s*(?:\{([^{}]*)\}\s*\{([^{}]*)\}|(\d)(\d))")
_VULGAR = re.compile(r"(?:(\d)\s?)?([\u00bc-\u00be\u2150-\u215e\u2189])")
_LATEX_SPACE = re.compile(r"(?<=\d)(?:\\[,;:! ]|~)(?=\d{2})")
_LATEX_COMMA = re.compile(r"(?<=\d)\{([,.])\}(?=\d)")
_WIDE_COMMA = re.compile("(?<=\\d)\uff0c(?=\\d{3}(?!\\d))")
_POWER_OF_TEN = re.compile(
    r"(?<!\s)\s*(?:\\times|\\cdot|[\u00d7\u00b7*x])\s*10\s*(?:\^|\*\*)\s*\{?\s*([-+]?\d{1,4})\s*\}?"
)
_POWER = re.compile(r"(?<=[\w)])(?:\*\*| \*\* )(?=[\w(])")
_MARKS = re.compile(r"\*\*|\\[()\[\]]|[`$]")
_SUPERSCRIPT = re.compile("(?<=10)[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+")
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_FULL_WIDTH = {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
_SAME = {
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2212\ufe63\uff0d", "-"),
    **dict.fromkeys("\u2018\u2019\u201a\u201b\u02bc\u2032\u2039\u203a\u300c\u300d\u300e\u300f", "'"),
    **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb\u300a\u300b", '"'),
    **dict.fromkeys("\uff0c\u3001\u060c", ", "),
    **dict.fromkeys("\u3002\uff61", ". "),
    **{"\u061b": ";", "\u061f": "?", "\u066a": "%", "\u066b": ".", "\u066c": ",", "\u2044": "/", "\u2215": "/"},
    **{"\u3010": "[", "\u3011": "]", "\u2026": "...", "\u3000": " ", "\u200b": "", "\ufeff": ""},
}
_TYPOGRAPHY = str.maketrans(_FULL_WIDTH) | str.maketrans(_SAME)
"""Maps the punctuation of other scripts and of typesetters to that of ASCII. An em dash is no minus, so it stays."""


def without_code(text: str) -> str:
    """Return the text without fenced code, which does not count as an answer."""
    return _CODE_FENCE.sub(" ", text)


def without_programs(text: str) -> str:
    """Return the text without fenced code, but with fenced JSON, which can hold an answer of several values."""
    return without_code(_JSON_FENCE.sub("```", text))


def folded(text: str) -> str:
    """Return the text with the digits and the punctuation of ASCII."""
    text = unicodedata.normalize("NFC", text)
    if text.isascii():
        return text
    text = _WIDE_COMMA.sub(",", text).translate(_TYPOGRAPHY)
    return re.sub(r"(?![0-9])\d", lambda digit: str(unicodedata.decimal(digit[0])), text)


def readable(text: str) -> str:
    """Return the folded text without Markdown and LaTeX markup."""
    text = _SUPERSCRIPT.sub(lambda power: "^" + power[0].translate(_SUPERSCRIPTS), folded(text))
    text = _LATEX_COMMA.sub(r"\1", _LATEX_SPACE.sub("\u00a0", text))
    text = _VULGAR.sub(_as_fraction, _FRACTION.sub(_in_line, text))
    text = _POWER_OF_TEN.sub(r"e\1", _COMMANDS.sub("", text))
    return _MARKS.sub("", _POWER.sub("^", text))


def _in_line(fraction: re.Match[str]) -> str:
    """Write a fraction of LaTeX with a slash; the digit before a mixed one is set apart."""
    over, under = fraction[1] or fraction[3] or "", fraction[2] or fraction[4] or ""
    is_mixed = fraction.string[: fraction.start()][-1:].isdigit()
    return f"{' ' * is_mixed}{over}/{under}"


def _as_fraction(vulgar: re.Match[str]) -> str:
    written = unicodedata.normalize("NFKC", vulgar[2]).replace("\u2044", "/")
    return f"{vulgar[1]} {written}" if vulgar[1] else written
