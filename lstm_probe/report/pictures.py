"""A run's pictures as a page takes them: those that were drawn when it was made, or that lie in a folder.

Nothing here draws: matplotlib takes longer to import than a page of a run that has its pictures takes in all.
"""

import base64
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from lstm_probe.core.errors import InputError
from lstm_probe.core.looks import PNG_DPI
from lstm_probe.core.order import UNIT
from lstm_probe.runs.analyses import chosen
from lstm_probe.runs.findings import against_in
from lstm_probe.runs.run import Run

#: Bytes of one picture, and of all pictures of a page, as SVG: what is above goes into the page as pixels, which take
#: about so many.
LARGEST_SVG, ALL_SVG, PIXELS = 400_000, 600_000, 90_000

#: The figures of a run as a whole, in the order in which they are shown; the others are of its analyses.
WHOLE = ("units", "tracked", "text", "traces", "learning")


def against_of(run: Run) -> pd.DataFrame | None:
    """Return what each unit tells of each target beside what clamping it costs; None where there is nothing to draw."""
    if not {"probes", "ablations"} <= set(run.measured):
        return None
    table = against_in(run)
    known = table[table["strength"].notna()]
    return table if len(known.drop_duplicates(UNIT)) >= 2 else None


def in_pixels(sizes: Mapping[str, int]) -> set[str]:
    """Return which of a page's pictures go into it as pixels, by how many bytes each takes as SVG.

    >>> in_pixels({"a": 500_000, "b": 20_000}), sorted(in_pixels({"a": 300_000, "b": 250_000, "c": 290_000}))
    ({'a'}, ['a', 'c'])
    """
    chosen, total = set(), sum(sizes.values())
    for name, size in sorted(sizes.items(), key=lambda item: -item[1]):
        if size > LARGEST_SVG or (total > ALL_SVG and size > PIXELS):
            chosen.add(name)
            total -= size - PIXELS
    return chosen


def stored_pictures(run: Run) -> dict[str, tuple[bytes, bytes | None]] | None:
    """Return the figures that were drawn when a run was made, SVG and PNG, by name; None where they are not as told.

    They may be anybody's: they are to be shown as images, which run no script and load nothing, and not to be copied.
    """
    files = run.files or {}
    known = dict.fromkeys([*WHOLE, *(one.picture or one.name for one in chosen(run.measured) if one.figure)])
    names = [name for name in known if f"figures/{name}.svg" in files]
    try:
        return {name: (run.read(f"figures/{name}.svg", bytes),
                       run.read(f"figures/{name}.png", bytes) if f"figures/{name}.png" in files else None)
                for name in names} or None  # fmt: skip
    except InputError:
        return None


def slim(svg: bytes) -> bytes:
    """Return an SVG without its prologue, its coordinates cut to hundredths of a point."""
    drawing = svg[svg.index(b"<svg") :]
    return re.sub(rb' (?:d|x|y)="[^"]+"', lambda found: re.sub(rb"(?<=\.\d\d)\d+", b"", found[0]), drawing)


def pictures(drawn: Mapping[str, tuple[bytes, bytes | None]]) -> dict[str, dict[str, Any]]:
    """Return what a page needs of its figures, SVG and PNG by name; see `in_pixels`."""
    slimmed = {name: slim(svg) for name, (svg, _) in drawn.items()}
    pixels = in_pixels({name: len(svg) for name, svg in slimmed.items()})
    return {name: _packed(svg, drawn[name][1] if name in pixels else None) for name, svg in slimmed.items()}


def picture(path: Path, alt: str) -> dict[str, Any]:
    """Return what a page needs of a figure that was written as SVG and PNG: a data URI, its alt text, its size."""
    return pictures({"": read_drawn(path)})[""] | {"alt": alt, "files": ["svg", "png"]}


def read_drawn(path: Path) -> tuple[bytes, bytes | None]:
    """Return a figure's SVG, and its PNG where there is one; `path` is without suffix."""
    svg, png = (path.with_name(f"{path.name}.{suffix}") for suffix in ("svg", "png"))
    return svg.read_bytes(), png.read_bytes() if png.exists() else None


def _packed(svg: bytes, png: bytes | None) -> dict[str, Any]:
    """Return a figure as a data URI, with its size in CSS pixels; as the pixels of the PNG where one is given."""
    if png is None:
        kind, content = "svg+xml", svg
        told = re.findall(rb""" (?:width|height)=["']([\d.]+)pt""", svg)[:2]
        size = [float(side) * 96 / 72 for side in (*told, 480, 360)]
    else:
        with Image.open(io.BytesIO(png)) as image:
            size = [side * 96 / PNG_DPI for side in image.size]
            packed = io.BytesIO()
            image.convert("RGB").save(packed, "WEBP", lossless=True, quality=0, method=1)
        kind, content = "webp", packed.getvalue()
    uri = f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
    return {"uri": uri, "width": round(size[0]), "height": round(size[1]), "files": []}
