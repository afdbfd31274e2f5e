"""Whether an answer for which no code was run should be asked once to be checked with code.

A greeting, a definition or an opinion needs none. Asked again are an answer that announces code and shows none, one
that calculates in prose, and any answer to a task that calls for a calculation or comes with files.
"""

import re

from agent.pycode import parsed

_ANNOUNCES = re.compile(
    r"\b(?:let me|let's|i will|i'll|i am going to|i'm going to|i need to|we can|we need to|we will)\b[^.!?\n]{0,40}"
    r"\b(?:calculat|comput|run|execut|use python|write|check|verify|load|read|analy[sz]e|plot|simulat)"
    r"|\bhere(?: is|'s) (?:the|a|some)\b[^.!?\n]{0,40}\b(?:code|script|program)\b",
    re.IGNORECASE,
)
_ENDS_OPEN = re.compile(r"[:\uff1a]\s*\Z")
_CODE_WORD = re.compile(r"\b(?:python|code|script|calculat\w+|comput\w+)\b", re.IGNORECASE)
_OFFERS = re.compile(r"\b(?:let me know|if you|for you|you want|happy to|can help)\b", re.IGNORECASE)
_CALCULATES = re.compile(
    r"\d\s*(?:[+*/\u00d7÷^]|\*\*|[-\u2212\u2013](?=\s))\s*\d[^\n]{0,80}?(?:=|≈|is|equals)\s*[-\u2212]?\d"
    r"|[≈]\s*-?\d|\b(?:approximately|roughly)\s+[$€£]?-?\d",
    re.IGNORECASE,
)
_ARITHMETIC = re.compile(
    r"\d\s*(?:[+*/\u00d7÷^%]|\*\*)\s*\(?-?\d|\d\s+[-\u2212]\s+\d|\d\s*%\s*(?:of\b|的)|\d!(?:\s|$|\?)|√\s*\d"
)
_WORDS = re.compile(
    r"\b(?:calculat\w*|comput(?:e|es|ing|ation)|sums?|totals?|averages?|median|count|how many|how much|product of|"
    r"squares?|squared|cubes?|cubed|roots?|power of|to the power|divided|times|multipl\w+|percent\w*|factorials?|"
    r"fibonacci|primes?|digits?|convert|solve|integrals?|integrate|derivatives?|differentiate|plot|chart|histogram|"
    r"draw|sort|sorted|reversed?|backwards?|permutations?|levenshtein|vowels|consonants|letters|characters|uppercase|"
    r"simulate\w*|probability|standard deviation|variance|regression|correlat\w+|"
    r"determinant|eigenvalues?|remainder|modulo|gcd|lcm|hash|sha-?\d+|md5|base64|binary|hexadecimal|weekday|"
    r"day of the week|anagrams?|palindrome|occurs?|occurrences|most often|longest|shortest|"
    r"days (?:between|until|since)|interest|csv|json file|spreadsheet|data ?set|rows?|columns?)\b"
    r"|计算|求|多少|总和|平均|阶乘|素数|质数|平方|概率|排序|统计|反转|翻转|星期几|第几",
    re.IGNORECASE,
)
FLOAT_DIGITS = 16
_DIGITS = re.compile(
    r"(?<!\d)(\d{2,6})\s*(?:decimals?\b|significant\b|digits? (?:of|after)\b|places\b|位)", re.IGNORECASE
)
_ABOUT_WORDS = re.compile(
    r"^\W*(?:hi|hello|hey|thanks|thank you|good (?:morning|evening))\b"
    r"|(?:^|[:,])\W{0,20}(?:please )?(?:explain|define|describe)\b"
    r"|(?:^|[:,])\W{0,20}what(?:'s| is| are)(?: the)? (?:an? |difference|meaning|definition)"
    r"|\bwhat does\b.{0,200}\b(?:mean|do|stand for)\b|^\W*(?:who|why|when|where)\b"
    r"|^\W*(?:can you (?:read|open|use|speak|see)|do you)\b|^\W*how (?:do|does|are you)\b"
    r"|什么是|为什么|你好",
    re.IGNORECASE,
)


def needs_check(task: str, answer: str, *, has_files: bool) -> bool:
    """Whether the model should be asked once to run code; it may then repeat its answer."""
    return (
        calls_for_code(task, has_files=has_files) or _announces_code(answer) or _CALCULATES.search(answer) is not None
    )


def calls_for_code(task: str, *, has_files: bool) -> bool:
    """Whether no answer to the task is to be trusted that no code gave."""
    return has_files or _is_computational(task)


def calls_for_precision(task: str) -> bool:
    """Whether the task asks for more digits than a float holds."""
    return any(int(count) > FLOAT_DIGITS for count in _DIGITS.findall(task))


def _announces_code(answer: str) -> bool:
    text = answer.strip()
    if _ENDS_OPEN.search(text):
        last = text.rpartition("\n")[2]
        return bool(_ANNOUNCES.search(last) or _CODE_WORD.search(last))
    last_sentence = re.split(r"(?<=[.!?])\s+", text)[-1]
    return _ANNOUNCES.search(last_sentence) is not None and not _OFFERS.search(last_sentence)


def _is_computational(task: str) -> bool:
    if _ARITHMETIC.search(task) or _is_expression(task):
        return True
    numbers = re.findall(r"\d+(?:\.\d+)?", task)
    if _ABOUT_WORDS.search(task):
        return len(numbers) > 1 and _WORDS.search(task) is not None
    return bool(numbers) or _WORDS.search(task) is not None


def _is_expression(task: str) -> bool:
    text = task.strip().rstrip("=?")
    return bool(re.search(r"\d", text)) and bool(re.fullmatch(r"[\d\s.+*/()%^-]+", text)) and parsed(text) is not None
