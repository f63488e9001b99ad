"""Units at work: the best unit of each signal drawn over the true signal."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.markers import TICKDOWN
from matplotlib.ticker import MaxNLocator

from lstm_probe.cells.declared import Cell
from lstm_probe.cells.known import word_of
from lstm_probe.core.numbers import number
from lstm_probe.core.order import UnitKey, several_layers, unit_label
from lstm_probe.core.vocabulary import NUMBERS
from lstm_probe.figures.coloured_text import glyph
from lstm_probe.figures.style import (
    GREY,
    INK,
    available_width,
    first_fitting,
    font,
    height_left,
    letters,
    new_figure,
    styled,
    text_width,
    unit_colours,
    wrapped,
)

_FITTED: Any = {"lw": 1.4, "ls": (0, (4, 1.2))}
#: Steps that are told apart in an inch.
_STEPS = 45

# Inches in a notebook; those that hold letters go with their size.
_TITLE, _TALL, _NUMBERS, _GAP, _LEFT, _RIGHT, _BETWEEN = 0.26, 0.66, 0.2, 0.14, 0.5, 0.12, 0.24
_TWO, _CHARACTER, _LINE = 3.4, 0.098, 0.16


@dataclass(frozen=True)
class _Panel:
    """What is drawn of one signal: the steps that there is room for, and the numbers of the vertical axis."""

    rows: pd.DataFrame
    ticks: list[float]
    low: float
    high: float


def _window(true: np.ndarray, n: int) -> int:
    """Return where the n steps begin in which a signal varies most.

    >>> _window(np.array([0, 0, 0, 0, 1, 1, 0, 0.0]), 3)
    2
    """
    if len(true) <= n:
        return 0
    parts = np.lib.stride_tricks.sliding_window_view(true, n)
    known = np.isfinite(parts)
    count = np.maximum(known.sum(1), 1)
    values = np.where(known, parts, 0.0)
    mean = values.sum(1) / count
    return int(np.argmax(np.round((values**2).sum(1) / count - mean**2, 9)))


def _panel(trace: pd.DataFrame, n: int) -> _Panel:
    """Return a signal's panel: the true signal is in it, and a fit that goes no further than that is high beyond it."""
    start = _window(trace["true"].to_numpy(float), n)
    rows = trace.iloc[start : start + n]
    low, high = np.nanmin(rows["true"]), np.nanmax(rows["true"])
    span = high - low or 1.0
    bottom = min(low - 0.2 * span, max(rows["fitted"].min() - 0.08 * span, low - span))
    top = max(high + 0.2 * span, min(rows["fitted"].max() + 0.08 * span, high + span))
    whole = rows["kind"].iloc[0] not in NUMBERS
    ticks = MaxNLocator(3, integer=whole).tick_values(bottom, top)
    return _Panel(rows, [t for t in ticks if bottom <= t <= top and (not whole or low <= t <= high)], bottom, top)


def _beyond(axes: Axes, panel: _Panel, colour: str) -> None:
    """Mark where the fit leaves the panel: a triangle at the edge for each time that it does."""
    fitted, inside = panel.rows["fitted"].to_numpy(float), 0.05 * (panel.high - panel.low)
    for out, edge, marker in (
        (fitted < panel.low, panel.low + inside, "v"),
        (fitted > panel.high, panel.high - inside, "^"),
    ):
        begins = np.flatnonzero(out & ~np.r_[False, out[:-1]])
        if len(begins):
            axes.plot(panel.rows["step"].to_numpy()[begins], np.full(len(begins), edge), marker, color=colour, ms=4,
                      zorder=4)  # fmt: skip


def _draw(axes: Axes, panel: _Panel, width: float, colour: str, label: str) -> None:
    rows, first = panel.rows, panel.rows.iloc[0]
    tracks = bool(first["tracks"])
    steps: dict[str, Any] = {"drawstyle": "steps-mid"} if first["kind"] not in NUMBERS else {}
    axes.plot(rows["step"], rows["true"], color=INK, lw=1.6, **steps)
    axes.plot(rows["step"], rows["fitted"], color=colour, **_FITTED)
    _beyond(axes, panel, colour)
    axes.set_ylim(panel.low, panel.high)
    axes.set_yticks(panel.ticks, [f"{tick:g}".replace("-", "−") for tick in panel.ticks])
    axes.set_xlim(rows["step"].iloc[0] - 0.5, rows["step"].iloc[-1] + 0.5)
    name = f"{first['signal']} {first['lag']} steps ago" if first["lag"] else str(first["signal"])
    names = (name,) if first["role"] == "target" else (f"{name} ({first['role']})", name)
    words = ("" if tracks else "best: ") + f"unit {label}, effect {number(first['effect'])}"
    room = width - text_width(words, font(8)) - 0.1
    axes.set_title(first_fitting(names, font(9), room, bold=True), pad=3, fontsize=font(9))
    axes.set_title(words, loc="right", pad=3, fontsize=font(8), weight="normal", color=colour if tracks else GREY)


def _characters(axes: Axes, rows: pd.DataFrame) -> None:
    """Write below the steps what is read at each."""
    below: Any = {"transform": axes.get_xaxis_transform(), "clip_on": False}
    axes.set_xticks([])  # each would be a handful of artists; these are one
    axes.plot(rows["step"], np.zeros(len(rows)), marker=TICKDOWN, ls="", ms=2, mew=rcParams["xtick.major.width"],
              color=rcParams["xtick.color"], **below)  # fmt: skip
    for step, character in zip(rows["step"], rows["character"]):
        axes.annotate(glyph(character) if character else "", (step, 0), (0, -4), xycoords=axes.get_xaxis_transform(),
                      textcoords="offset points", ha="center", va="top", fontsize=font(7), color=INK)  # fmt: skip


def _key(rows: pd.DataFrame) -> UnitKey:
    first = rows.iloc[0]
    return int(first["layer"]), str(first["direction"]), int(first["unit"])


def _legend(table: pd.DataFrame, colours: dict[UnitKey, str], cell: Cell | None) -> list[Line2D]:
    """Return what the lines are."""
    variable = table["variable"].iloc[0]
    word = word_of(variable, cell)
    tracked = table["tracks"].astype(bool)
    lines = [Line2D([], [], color=INK, lw=1.6, label="true signal")]
    if tracked.any():
        colour = colours[_key(table[tracked])]
        best = f"{word} {variable} of its best unit, on the signal's scale; a colour for each unit"
        lines.append(Line2D([], [], color=colour, **_FITTED, label=best))
    if not tracked.all():
        words = f"{word} {variable} of a unit that is not said to track it"
        lines.append(Line2D([], [], color=GREY, **_FITTED, label=words))
    return lines


def _first(panels: list[_Panel], most: int) -> list[_Panel]:
    """Return as many panels as there is room for: those of signals that a unit tracks go before others."""
    ranked = sorted(range(len(panels)), key=lambda k: not panels[k].rows["tracks"].iloc[0])
    return [panels[k] for k in sorted(ranked[:most])]


def _layout(width: float, n: int, text: bool) -> tuple[int, float, int]:
    """Return how many panels stand side by side, how wide each is, and how many steps it has room for."""
    columns = 2 if n > 1 and width >= 2 * letters(_TWO) else 1
    wide = (width - columns * letters(_LEFT) - letters(_RIGHT) - (columns - 1) * letters(_BETWEEN)) / columns
    return columns, wide, max(8, int(wide / letters(_CHARACTER))) if text else int(wide * _STEPS)


@styled
def traces(table: pd.DataFrame, *, order: Sequence[UnitKey] = (), cell: Cell | None = None) -> Figure:
    """Draw, for each signal, the variable of its best unit over the true signal in an example sequence.

    Where there is no room for all steps, those are shown in which the signal varies most. A line that leaves its panel
    ends there with a triangle.

    Args:
        table: columns `TRACE_COLUMNS`, one row for each signal and step; `fitted` is the unit's variable
            brought to the signal's scale.
        order: all units of the run in its order, for one colour a unit throughout a run.
        cell: what the units are, for the words; None: an LSTM.
    """
    signals = list(table["signal"].unique())
    text = bool((table["character"] != "").any())
    width = available_width(9.6 if len(signals) > 1 else 5.6)
    columns, wide, most = _layout(width, len(signals), text)
    panels = [_panel(table[table["signal"] == signal], most) for signal in signals]
    apart = text or len({(panel.rows["step"].iloc[0], panel.rows["step"].iloc[-1]) for panel in panels}) > 1
    colours = unit_colours((_key(panel.rows) for panel in panels), order)
    layers = several_layers(list(order) or list(colours))

    lines = _legend(table, colours, cell)
    for line in lines:
        line.set_label(wrapped(str(line.get_label()), font(8), width - letters(0.65)))
    below = letters(_LINE) * sum(1 + str(line.get_label()).count("\n") for line in lines) + letters(0.1)
    numbers = letters(_NUMBERS)
    pitch = letters(_TITLE + _GAP) + _TALL + numbers * apart
    bottom = below + numbers + letters(_LINE) * (not text)
    rows, room = -(-len(panels) // columns), (height_left() - bottom - letters(_LINE)) / pitch
    rows = rows if rows <= room else max(1, int(room))
    left_out = max(0, len(panels) - rows * columns)
    bottom += letters(_LINE) * (left_out > 0)
    height = pitch * rows - letters(_GAP) - numbers * apart + bottom
    figure = new_figure(width, height)
    for k, panel in enumerate(_first(panels, rows * columns)):
        x = letters(_LEFT) + (k % columns) * (wide + letters(_LEFT + _BETWEEN))
        y = height - pitch * (k // columns) - letters(_TITLE) - _TALL
        axes = figure.add_axes((x / width, y / height, wide / width, _TALL / height))
        key = _key(panel.rows)
        _draw(axes, panel, wide, colours[key] if panel.rows["tracks"].iloc[0] else GREY, unit_label(key, layers))
        if text:
            _characters(axes, panel.rows)
            continue
        last = k + columns >= min(len(panels), rows * columns)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.tick_params(labelbottom=last or apart)
        axes.set_xlabel("step" if last else "", labelpad=1)
    if left_out:
        words = f"{left_out} more signal{'s have' if left_out > 1 else ' has'} no room here"
        figure.text(0.1 / width, 0.06 / height, words, fontsize=font(8), color=GREY)
    at = (letters(0.1) / width, (letters(_LINE) * (left_out > 0) + 0.05) / height)
    figure.legend(handles=lines, loc="lower left", bbox_to_anchor=at, borderaxespad=0, handlelength=3,
                  labelspacing=0.25, fontsize=font(8))  # fmt: skip
    return figure
