"""The files that a task asks for: the names that it mentions, except those that came with it.

What the task says about a name is not read, with one exception: near a word for "not" the file may be unwanted, and it
is not asked for. A task that only talks about files makes no code run, and then this check is not used.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterator

MAX_NAME_CHARS = 100
_KINDS = (
    "png|jpe?g|svg|gif|webp|eps|bmp|tiff?|pdf|csv|tsv|jsonl?|geojson|ya?ml|toml|ini|cfg|xml|xlsx?|ods|odt|docx?|pptx?|rtf|"
    "txt|md|rst|tex|html?|css|js|py|sql|sh|log|dat|bin|parquet|feather|h5|hdf5|mat|np[yz]|pkl|pickle|zip|tar|gz|"
    "sqlite3?|db|wav|mp[34]|ics|vcf|srt|gpx|kml|ipynb"
)
_FILE = re.compile(
    rf"(?<![\w./-])(?:\./|/workspace/)?(?P<name>[\w-][\w./-]{{0,{MAX_NAME_CHARS}}}\.(?:{_KINDS}))(?![\w/?=&-]|\.\w)",
    re.IGNORECASE,
)
_ELSEWHERE = re.compile(r"(?<!\w)\w++://\S+|\b[A-Za-z]:[/\\]\S+|(?<!\S)\S[^\s@]*+@\S+")
"""Addresses, and paths of other systems."""
_CLAUSE = re.compile(r"[.;:!?](?:\s|$)|[\n。；！？]")
_MARKS = (";", ":", "!", "?")
"""One of these ends a clause without a space, too, if a name follows."""
_PART = re.compile(r"[.,;:!?](?:\s|$)|[\n，。；！？、]")
_NOT = re.compile(
    r"\b(?:not|no|don'?t|dont|doesn'?t|never|without|nor"
    r"|nicht|nichts|kein\w*|ohne|nie"
    r"|n[e'’]|pas|sans|rien|jamais|aucun\w*"
    r"|sin(?!\(|\w)|nada|nunca|tampoco|ni)\b|n['’]\w|不(?:用|要|必|需|想|能)|(?<![分区特级类])别|勿|无需|没必要",
    re.IGNORECASE,
)
_CHINESE_VERB = re.compile(
    r"^.*?(?:文件名|(?:保存|另存|存|写|导出|输出|命名|取名|放|记录|生成)[为成到入进在作做出]?|名为|名叫|叫做?|文件)"
    r"(?:一个|一份)?(?:文件名?)?[为叫是到成]?(?=[\w-])"
)
_CHINESE = re.compile(r"[\u3400-\u9fff]")


def asked_for(task: str, given: Collection[str]) -> list[str]:
    """The names of files that the task mentions; those that came with it are there already."""
    return [name for name in dict.fromkeys(_wanted_in(_ELSEWHERE.sub(" ", task))) if name not in given]


def _wanted_in(text: str) -> Iterator[str]:
    """The names without a negation before them in their clause, or behind them up to the next comma.

    The text is searched once for negations and for each kind of end, so a long one takes time in proportion.
    """
    negations = [found.span() for found in _NOT.finditer(text)]
    not_begins, not_ends = [begin for begin, _ in negations], [end for _, end in negations]
    clause_begins = [0, *(found.end() for found in _CLAUSE.finditer(text))]
    part_ends = [*(found.start() for found in _PART.finditer(text)), len(text)]
    for found in _FILE.finditer(text):
        name, end = _without_verb(found["name"]), found.end("name")
        begin = end - len(name)
        clause_begin = (
            begin if text.endswith(_MARKS, 0, begin) else clause_begins[bisect_right(clause_begins, begin) - 1]
        )
        part_end = part_ends[bisect_left(part_ends, end)]
        is_behind_not = bisect_left(not_begins, clause_begin) < bisect_left(not_ends, begin)
        is_before_not = bisect_left(not_begins, end) < bisect_right(not_ends, part_end)
        if not is_behind_not and not is_before_not:
            yield name


def _without_verb(name: str) -> str:
    """Chinese writes no space between a verb and a name."""
    folder, slash, last = name.rpartition("/")
    first = folder or last
    if not _CHINESE.match(first):
        return name
    short = _CHINESE_VERB.sub("", first)
    return f"{short}{slash}{last}" if folder else short
