"""Saved pictures of matplotlib hold the whole figure: labels that stick out of it are not cut off.

matplotlib calls `keep_whole` with each new figure of pyplot (`figure.hooks`). Its own remedies have side effects:
`savefig.bbox: tight` changes the size of every picture, and constrained layout warns of `tight_layout()` and ignores
`subplots_adjust()`.
"""

from functools import wraps

FRAMES = ("raw", "rgba")
"""Formats of frames of an animation, which all have the same size."""


def keep_whole(figure):
    """Let `savefig` add room where something sticks out of a figure. The size stays if nothing does."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - this module is imported before matplotlib

    if hasattr(Figure.savefig, "__wrapped__"):
        return
    save = Figure.savefig

    @wraps(save)
    def savefig(figure, fname, **options):
        if not _is_decided(options) and (box := _box_of(figure)):
            options["bbox_inches"] = box
        return save(figure, fname, **options)

    Figure.savefig = savefig


def _is_decided(options):
    """True if the caller has chosen a box, or has none to choose."""
    from matplotlib import rcParams  # noqa: PLC0415

    chosen = options.get("bbox_inches") or rcParams["savefig.bbox"]
    return chosen or options.get("format", rcParams["savefig.format"]) in FRAMES


def _box_of(figure):
    """The figure with what sticks out of it, in inches; None if nothing does, or if it is farther than a neighbour."""
    from matplotlib import rcParams  # noqa: PLC0415
    from matplotlib.transforms import Bbox  # noqa: PLC0415

    figure.draw_without_rendering()
    own, tight = figure.bbox_inches, figure.get_tightbbox()
    pad = rcParams["savefig.pad_inches"]
    room = [low - pad if low < 0 else 0 for low in tight.min]
    ends = [high + pad if high > end else end for high, end in zip(tight.max, own.max, strict=True)]
    is_near = all(low > -end and high < 2 * end for low, high, end in zip(room, ends, own.max, strict=True))
    return Bbox([room, ends]) if is_near and [*room, *ends] != [0, 0, *own.max] else None
