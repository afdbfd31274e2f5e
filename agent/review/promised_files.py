"""The files that a task asks for: the names that it mentions, except those that came with it.

What the task says about a name is not read, with one exception: near a word for "not" the file may be unwanted, and it
is not asked for. A task that only talks about files makes no code run, and then this check is not used.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterator

MAX_NAME_CHARS = 100
MAX_BEHIND_CHARS = 25
"""A word for "not" behind a name is about the name up to this distance."""
_KINDS = (
    "png|jpe?g|svg|gif|webp|eps|bmp|ico|tiff?|pdf|csv|tsv|jsonl?|geojson|ya?ml|toml|ini|cfg|conf|env|xml|xlsx?|ods|odt|docx?|"
    "pptx?|rtf|txt|md|rst|tex|bib|html?|css|js|ts|py|rb|php|java|cpp|sql|sh|bat|ps1|log|diff|patch|dat|bin|parquet|feather|"
    "h5|hdf5|nc|fits|mat|np[yz]|pkl|pickle|joblib|onnx|pth?|safetensors|zip|tar|t?gz|bz2|xz|7z|sqlite3?|db|wav|flac|ogg|"
    "mp[34]|avi|mov|mkv|webm|ics|vcf|srt|gpx|km[lz]|shp|stl|dxf|ipynb"
)
_CJK = r"\u3400-\u9fff"
_QUOTES = "\"'`\u2018\u2019\u201a\u201c\u201d\u201e\u00ab\u00bb\u300a\u300b\u300c\u300d"
_FILE = re.compile(
    rf"(?<=[{_QUOTES}])(?P<quoted>[\w-]+(?: [\w.-]+){{1,3}}\.(?:{_KINDS}))(?=[{_QUOTES}])"
    rf"|(?:(?<![\w./-])(?:\./|/workspace/)?|(?=[{_CJK}]))"
    rf"(?P<name>[\w-][\w./-]{{0,{MAX_NAME_CHARS}}}?\.(?:{_KINDS}))(?!(?![{_CJK}])[\w/?=&-]|\.\w)",
    re.IGNORECASE,
)
_ELSEWHERE = re.compile(r"(?<!\w)\w++://\S+|(?<![A-Za-z0-9])[A-Za-z]:[/\\]\S+|(?<!\S)\S[^\s@]*+@\S+")
"""Addresses, and paths of other systems."""
_NO_NEGATION = re.compile(
    r"\b(?:(?:do not|don['’]?t|never) forget|(?:nicht|nie) (?:zu )?vergessen|vergiss (?:bitte )?nicht"
    r"|n['’]oubli\w+ (?:surtout )?pas|ne pas oublier|no (?:te |se |me )?olvid\w+"
    r"|not only|nicht nur|no s[oó]lo|with no|mit kein\w*|con ning[uú]n\w*)\b"
    r"|(?:别|不要|勿)忘|不[仅但]",
    re.IGNORECASE,
)
_PART = re.compile(r"[.,;:!?](?:\s|$)(?!\s*da(?:ss|ß)\b)|[\n，。；！？、]")
_MARKS = (";", ":", "!", "?")
"""One of these ends a part without a space, too, if a name follows."""
_NOT = re.compile(
    r"\b(?:not|no|don['’]?t|dont|doesn['’]?t|never|nothing|nor"
    r"|nicht|nichts|kein\w*|nie"
    r"|n[e'’]|pas|rien|jamais|aucun\w*"
    r"|nada|nunca|tampoco|ni"
    r"|(?:without|ohne|sans|sin|instead of|rather than|(?:an)?statt|anstelle|au lieu d[eu]|plut[oô]t que"
    rf"|en (?:vez|lugar) de)(?=(?:\s+\S++){{0,3}}?\s+\S*\.(?:{_KINDS})\b))\b"
    r"|n['’]\w|不(?:用|要|必|需|想|能|是)|而非|(?<![分区特级类])别|勿|无需|没必要",
    re.IGNORECASE,
)
_LISTED = re.compile(
    rf"[\s,、{_QUOTES}]*(?:(?:and|or|nor|und|oder|noch|auch|et|ou|ni|y|o|e|u|和|或|及|与)\b)?[\s{_QUOTES}]*"
)
"""What stands between two names of a list."""
_CHINESE_VERB = re.compile(
    r"^.*?(?:文件名|(?:保存|另存|存|写|导出|输出|命名|取名|放|记录|生成)[为成到入进在作做出]?"
    r"|(?:转换?|变|改|做|画|整理|汇总|合并)[为成到入进]"
    r"|名为|名叫|叫做?|文件|^[和或及与])"
    r"(?:一个|一份)?(?:文件名?)?[为叫是到成]?(?=[\w-])"
)
_CHINESE = re.compile(f"[{_CJK}]")


def asked_for(task: str, given: Collection[str]) -> list[str]:
    """The names of files that the task mentions; those that came with it are there already."""
    text = _NO_NEGATION.sub(" ", _ELSEWHERE.sub(" ", task))
    return [name for name in dict.fromkeys(_wanted_in(text)) if not is_among(name, given)]


def is_among(name: str, files: Collection[str]) -> bool:
    """Is it one of these files? Chinese writes no space before a name, so one may be the end of the other."""
    return name in files or any(
        long.endswith(short) and not long.removesuffix(short).isascii()
        for file in files
        for long, short in ((name, file), (file, name))
    )


def _wanted_in(text: str) -> Iterator[str]:
    """The names without a negation in their part of a sentence: anywhere before them, or soon behind them.

    A negation holds for all names of a list. The text is searched once for negations and once for the ends of parts,
    so a long one takes time in proportion.
    """
    not_begins = [found.start() for found in _NOT.finditer(text)]
    ends = [found.span() for found in _PART.finditer(text)]
    part_begins, part_ends = [0, *(end for _, end in ends)], [*(begin for begin, _ in ends), len(text)]
    unwanted_end = -1
    for found in _FILE.finditer(text):
        begin, end = found.span(found.lastgroup or 0)
        name = _without_verb(found[found.lastgroup or 0])
        part_begin = begin if text.endswith(_MARKS, 0, begin) else part_begins[bisect_right(part_begins, begin) - 1]
        part_end = min(part_ends[bisect_left(part_ends, end)], end + MAX_BEHIND_CHARS)
        if (
            bisect_left(not_begins, part_begin) < bisect_left(not_begins, begin if found[0].isascii() else end)
            or bisect_left(not_begins, end) < bisect_left(not_begins, part_end)
            or (unwanted_end >= 0 and _LISTED.fullmatch(text, unwanted_end, begin))
        ):
            unwanted_end = end
        else:
            yield name


def _without_verb(name: str) -> str:
    """Chinese writes no space between a verb and a name."""
    folder, slash, last = name.rpartition("/")
    first = folder or last
    if not _CHINESE.match(first):
        return name
    short = _CHINESE_VERB.sub("", first)
    return f"{short}{slash}{last}" if folder else short
