"""How few units are enough? What is left of each target's score, against how many units are left."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lstm_probe.figures.sheet import MARGIN, Sheet, all_shortened
from lstm_probe.figures.style import GREY, INK, available_width, font, letters, line_styles, styled, text_width

#: What stands for all targets together in the table.
ALL = "all"

# All in inches: the two panels, and what stands around them.
_WIDE, _LEAST_TALL, _ROW, _LEFT, _RIGHT, _BOTTOM = 3.3, 2.1, 0.24, 0.62, 0.2, 0.5
_DOTS, _GAP = 2.2, 0.4


def target_styles(targets: list[str]) -> dict[str, dict[str, Any]]:
    """Return each target's style; that of all together is bold."""
    styles = {name: {**style, "lw": 1.3, "markersize": 5} for name, style in
              line_styles([name for name in targets if name != ALL]).items()}  # fmt: skip
    return {ALL: {"color": INK, "linestyle": "-", "marker": "h", "lw": 2.6, "markersize": 6}} | styles


def _curve(axes: Axes, own: pd.DataFrame, style: Mapping[str, Any]) -> None:
    """Draw what is left against how many units are left, with a mark where the set is."""
    own = own.sort_values("order")
    left = len(own) - own["order"]
    known = own["score"].notna()
    axes.plot(left[known], own["score"][known], **{**style, "marker": ""}, zorder=2 if style["lw"] > 2 else 3)
    chosen = own["kept"].astype(bool)
    if chosen.any():
        axes.plot(left[chosen].iloc[:1], own["score"][chosen].iloc[:1], **{**style, "linestyle": "none"}, zorder=4)


def _curves(axes: Axes, table: pd.DataFrame, styles: Mapping[str, Mapping[str, Any]]) -> None:
    n = int(table.groupby("target").size().max())
    for name, style in styles.items():
        _curve(axes, table[table["target"] == name], style)
    axes.set(xlim=(-0.02 * n, 1.02 * n), ylim=(-0.04, 1.06), yticks=[0, 0.5, 1], ylabel="share of the score left")
    axes.set_xlabel("units left, all others clamped")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.grid(True)
    axes.set_axisbelow(True)


def _label(name: str, own: pd.DataFrame, about: Mapping[str, Any]) -> str:
    """Return a target's name with how many units carry it, and in other orders and halves."""
    spread = "–".join(dict.fromkeys(map(str, about.get("spread") or [])))
    other = f" ({spread})" if spread else ""
    return f"{name}: {int(own['kept'].astype(bool).sum())} of {len(own)}{other}"


def kept_dots(
    axes: Axes, labels: Sequence[str], found: list[Mapping[str, Any]], styles: list[Mapping[str, Any]]
) -> None:
    """Draw what each set keeps on the sequences that did not choose it, a row for each target."""
    wide = axes.bbox.width / axes.figure.dpi
    keep = next((about["keep"] for about in found if "keep" in about), np.nan)
    ends = [keep, 1.0]
    for k, (about, style) in enumerate(zip(found, styles)):
        value, low, high = (float(about.get(key, np.nan)) for key in ("checked", "checked_low", "checked_high"))
        axes.plot([low, high], [k, k], color=style["color"], lw=1.2)
        axes.plot([value], [k], **{**style, "linestyle": "none"})
        ends += [end for end in (value, low, high) if np.isfinite(end)]
    axes.axvline(keep, color=GREY, lw=0.9, ls=(0, (1, 2)), zorder=1)
    least, most = np.nanmin(ends), np.nanmax(ends)
    room = 0.08 * max(most - least, 1e-3)
    axes.set(xlim=(least - room, most + room), ylim=(len(labels) - 0.4, -0.6))
    axes.set_yticks(range(len(labels)), labels, color=INK)
    axes.tick_params(axis="y", length=0, pad=6)
    fitting = int(wide / (text_width("99.99 %", font(8)) + 0.06))
    axes.xaxis.set_major_locator(MaxNLocator(max(1, min(4, fitting - 1))))
    axes.xaxis.set_major_formatter(lambda share, _: f"{100 * share:.4g} %")
    axes.set_xlabel("kept on other sequences")
    axes.grid(True, axis="x")
    axes.set_axisbelow(True)


def two_panels(labels: list[str], title: str, note: str) -> tuple[Sheet, Axes, Axes, list[str]]:
    """Return a sheet with room for curves, and beside or below for a row for each label, as it fits; and the labels."""
    size = font(8)
    short, names = all_shortened(labels, size, 99.0)
    left, right, gap = letters(_LEFT), _RIGHT, letters(_GAP)
    natural = left + _WIDE + gap + names + 0.15 + _DOTS + right
    width = available_width(natural)
    narrow = width - left - gap - right - names - 0.15 < 0.65 * letters(_WIDE + _DOTS)
    short, names = all_shortened(labels, size, 0.6 * width if narrow else 99.0)
    names += 0.15
    sheet = Sheet(width)
    sheet.heading(title, note)
    row = max(1.15 * size / 72, min(letters(_ROW), 7.0 / len(labels)))
    rows, top = row * max(len(labels), 2), sheet.y
    curves = letters(_LEAST_TALL) if narrow else max(letters(_LEAST_TALL), rows)
    wide = width - left - right if narrow else (width - left - gap - names - right) * _WIDE / (_WIDE + _DOTS)
    one = sheet.axes(left, top, wide, curves)
    if narrow:
        top += curves + letters(_BOTTOM) + 0.05
        two = sheet.axes(MARGIN + names, top, width - MARGIN - names - right, rows)
        sheet.y = top + rows + letters(_BOTTOM)
    else:
        x = left + wide + gap + names
        two = sheet.axes(x, top, width - x - right, curves)
        sheet.y = top + curves + letters(_BOTTOM)
    return sheet, one, two, short


@styled
def sufficient(table: pd.DataFrame) -> Figure:
    """Draw the curve of elimination of each target and of all, and what the sets keep on other sequences.

    On the left, a mark stands where the set is. On the right, bars are 95 % intervals, the dotted line is what a set
    has to keep, and in brackets stand the fewest and most units of other orders and halves.

    Args:
        table: columns `SUFFICIENT_COLUMNS`, with its `attrs`.
    """
    targets = list(table["target"].unique())
    styles = target_styles(targets)
    about: Mapping[str, Any] = table.attrs.get("sufficient", {})
    # One target alone is all there is.
    shown = targets if len(targets) != 2 or ALL not in targets else [name for name in targets if name != ALL]
    labels = [_label(name, table[table["target"] == name], about.get(name, {})) for name in shown]
    note = "marks: a set that is enough; dotted: what it has to keep"
    if any(one.get("spread") for one in about.values()):
        note += "; in brackets: fewest and most units in other orders and samples"
    sheet, left, right, labels = two_panels(labels, "How few units are enough?", note)
    _curves(left, table, {name: styles[name] for name in shown})
    kept_dots(right, labels, [about.get(name, {}) for name in shown], [styles[name] for name in shown])
    return sheet.finished()
