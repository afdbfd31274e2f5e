"""Chinese, Japanese and Korean text in matplotlib, without a line of set-up.

The font list is made once, at build time, and knows the CJK font also by the names that code usually asks
for. matplotlib reads its list only from a directory it may write to, and the image's root is read-only: each
interpreter links the list into MPLCONFIGDIR as it starts.
"""

import os

FONT = "WenQuanYi Micro Hei"
LISTS = "/opt/python/share/matplotlib"
OTHER_NAMES = (
    *("Arial Unicode MS", "FangSong", "Heiti SC", "Heiti TC", "Hiragino Sans GB", "KaiTi", "Microsoft YaHei"),
    *(
        "Noto Sans CJK SC",
        "Noto Sans SC",
        "PingFang SC",
        "SimHei",
        "SimSun",
        "Source Han Sans CN",
        "Source Han Sans SC",
    ),
    *("STHeiti", "STSong", "WenQuanYi Zen Hei", "Microsoft JhengHei", "Noto Sans CJK TC", "PingFang TC"),
    *("Hiragino Sans", "IPAexGothic", "Meiryo", "MS Gothic", "Noto Sans CJK JP", "Yu Gothic"),
    *("AppleGothic", "Malgun Gothic", "NanumGothic", "Noto Sans CJK KR"),
)


def link() -> None:
    """Link the ready-made list into MPLCONFIGDIR; without it matplotlib makes its own."""
    target = os.environ.get("MPLCONFIGDIR", "")
    try:
        os.makedirs(target, exist_ok=True)  # noqa: PTH103 - pathlib would slow every start
        for name in os.listdir(LISTS):  # noqa: PTH208
            os.symlink(f"{LISTS}/{name}", f"{target}/{name}")  # noqa: PTH211
    except OSError:
        pass


def build() -> None:
    """Write the list to LISTS: the font under each name, and as bold too, or bold labels would warn."""
    os.environ["MPLCONFIGDIR"] = LISTS
    from dataclasses import replace  # noqa: PLC0415 - `link` runs at every start and needs none of these
    from pathlib import Path  # noqa: PLC0415

    from matplotlib import font_manager  # noqa: PLC0415

    manager = font_manager.fontManager
    font = next(entry for entry in manager.ttflist if entry.name == FONT)
    names = (FONT, *OTHER_NAMES)
    manager.ttflist += [replace(font, name=name, weight=weight) for name in names for weight in (400, 700)]
    font_manager.json_dump(manager, next(Path(LISTS).glob("fontlist-*.json")))


if __name__ == "__main__":
    build()
