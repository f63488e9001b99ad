"""The picture of a whole run: what each unit tracks, and beside it what it costs to clamp it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import Colormap
from matplotlib.figure import Figure

from lstm_probe.causal.status import ALONE, TOGETHER, TRACKS, found_rows, unit_statuses
from lstm_probe.core.order import UNIT, UnitKey, several_layers, shown_variable, signal_order, unit_label
from lstm_probe.core.vocabulary import VARIABLE_MEANINGS
from lstm_probe.figures.style import GREY, INK, TRACKS_MAP, UNDEFINED, USES_MAP, new_figure, styled, text_width

# All in inches: the layout is reckoned, not searched for, so that nothing is cut off at any size.
_TITLE, _BOTTOM, _BAR_HEIGHT = 0.58, 0.15, 1.7
_BAR_ROOM, _LABEL_SIZE = 0.80, 8.5


@dataclass(frozen=True)
class _Panel:
    """One heatmap: values and marks (dots, and rings) with units as rows."""

    values: np.ndarray
    marks: np.ndarray
    rings: np.ndarray
    columns: list[str]
    title: str
    note: str
    bar: str
    colours: Colormap

    @property
    def cell(self) -> float:
        """Return a column's width."""
        return 0.66 if len(self.columns) <= 8 else 0.45 if len(self.columns) <= 14 else 0.34

    @property
    def slanted(self) -> bool:
        """Return whether a column's label is too long to stand upright over it."""
        return max(text_width(label, _LABEL_SIZE) for label in self.columns) > self.cell - 0.06

    @property
    def labels(self) -> list[str]:
        """Return the columns' labels as they are drawn."""
        return [label.replace("\n", ", ") if self.slanted else label for label in self.columns]

    @property
    def label_room(self) -> tuple[float, float]:
        """Return how far the labels reach beyond the last column, and up."""
        if not self.slanted:
            return 0.0, 0.15 * (1 + max(label.count("\n") for label in self.columns))
        reach = [0.71 * text_width(label, _LABEL_SIZE) for label in self.labels]
        beyond = [r - self.cell * (len(reach) - k - 0.5) for k, r in enumerate(reach)]
        return max(max(beyond), 0.0), max(reach) + 0.12

    @property
    def width(self) -> float:
        """Return the heatmap's width."""
        return self.cell * len(self.columns)

    @property
    def text_widths(self) -> tuple[float, float]:
        """Return how wide the title, which is bold, and the line below it are."""
        return 1.15 * text_width(self.title, 10), text_width(self.note, 8)


def _matrix(table: pd.DataFrame, columns: str, values: str, order: list[UnitKey], names: list[str]) -> np.ndarray:
    """Return units × columns, the largest where there are several rows (lags); NaN where there is none."""
    wide = table.pivot_table(index=UNIT, columns=columns, values=values, aggfunc="max", dropna=False)
    return wide.reindex(index=pd.MultiIndex.from_tuples(order, names=UNIT), columns=names).to_numpy(dtype=float)


def _tracks_panel(
    probes: pd.DataFrame, order: list[UnitKey], variable: str, memory: pd.DataFrame | None
) -> _Panel:  # fmt: skip
    own = probes[probes["variable"] == variable]
    names = signal_order(probes)
    roles = probes.drop_duplicates("signal").set_index("signal")["role"]
    word = VARIABLE_MEANINGS[variable].split(":")[0]
    lags = sorted(own["lag"].unique())
    of_lags = "" if lags == [0] else f"\nbest of lags {', '.join(map(str, lags))}"
    effects = _matrix(own, "signal", "effect", order, names)
    undefined = "; grey: undefined" if np.isnan(effects).any() else ""
    dots = _matrix(own.assign(tracks=own["tracks"].astype(float)), "signal", "tracks", order, names) > 0
    found = found_rows(own, None if memory is None else memory[memory["variable"] == variable])
    rings = _matrix(found.assign(found=1.0), "signal", "found", order, names) > 0 if len(found) else dots
    rings = rings & ~dots
    ring = "; ring: earlier, or along a curve" if rings.any() else ""
    return _Panel(
        effects,
        dots,
        rings,
        [name if roles[name] == "target" else f"{name}\n{roles[name]}" for name in names],
        "What each unit remembers",
        f"its {word} {variable} against each signal; dot: tracks{ring}{undefined}",
        "effect: R²; of yes/no and classes\n2·AUROC − 1; 0 chance, 1 exact" + of_lags,
        TRACKS_MAP,
    )


#: What a unit is clamped to, by mode.
CLAMPED_TO = {"mean": "its mean", "zero": "0", "resample": "another sequence's values"}


def _needs_panel(ablations: pd.DataFrame, order: list[UnitKey]) -> _Panel:
    names = list(ablations["target"].unique())
    variable, mode = ablations["variable"].iloc[0], ablations["mode"].iloc[0]
    dots, rings = (_matrix(ablations.assign(needed=(ablations["needed"] == needed).astype(float)), "target", "needed",
                           order, names) > 0 for needed in (ALONE, TOGETHER))  # fmt: skip
    refitted = bool(ablations["refit_drop"].notna().any())
    marks = "; dot: needed alone" + ("; ring: needed together" if rings.any() else "")
    return _Panel(
        _matrix(ablations, "target", "refit_drop" if refitted else "score_drop", order, names),
        dots,
        rings,
        names,
        "What it costs to clamp it alone",
        f"its {variable} at {CLAMPED_TO[mode]} for all steps{marks if refitted else ''}",
        "loss of the target's score,\n" + ("brought back to scale; 1 = all" if refitted else "as it stands; 1 = all"),
        USES_MAP,
    )


def _row_height(n: int) -> float:
    return 0.42 if n <= 4 else 0.30 if n <= 16 else 0.24 if n <= 32 else 0.17 if n <= 64 else 0.125


def _draw(axes: Axes, panel: _Panel, row: float) -> QuadMesh:
    """Draw one heatmap with its marks and its column labels on top."""
    rows, columns = panel.values.shape
    axes.set_facecolor(UNDEFINED)
    gap = 0.8 if row > 0.2 else 0.4
    mesh = axes.pcolormesh(
        np.ma.masked_invalid(panel.values),
        cmap=panel.colours,
        vmin=0,
        vmax=1,
        edgecolors="white",
        linewidth=gap,
    )
    size = min(36 * row, 9) ** 2 * 0.35
    y, x = np.nonzero(panel.marks)
    axes.scatter(x + 0.5, y + 0.5, s=size, c="white", edgecolors=INK, linewidths=0.7, zorder=3)
    if panel.rings.any():
        y, x = np.nonzero(panel.rings)
        for width, colour in ((2.2, "white"), (1.0, INK)):
            axes.scatter(x + 0.5, y + 0.5, s=1.6 * size, c="none", edgecolors=colour, linewidths=width, zorder=3)
    axes.set(xlim=(0, columns), ylim=(rows, 0), yticks=[])
    axes.xaxis.tick_top()
    slant: dict[str, Any] = {"rotation": 45, "ha": "left", "rotation_mode": "anchor"} if panel.slanted else {}
    axes.set_xticks(np.arange(columns) + 0.5, panel.labels, **slant)
    axes.tick_params(length=0, pad=2, labelsize=8.5)
    for label, name in zip(axes.get_xticklabels(), panel.columns):
        label.set_color(GREY if "\n" in name else INK)
    axes.spines[:].set_visible(False)
    return mesh


def _group_names(axes: Axes, names: list[str], row: float) -> None:
    """Write beside the rows which of them belong together, with a line along each group."""
    starts = [k for k, name in enumerate(names) if k == 0 or name != names[k - 1]]
    across = axes.get_yaxis_transform()
    for start, end in zip(starts, [*starts[1:], len(names)]):
        margin = min(0.25, 0.025 / row)
        axes.plot(
            [1.0, 1.0], [start + margin, end - margin], color=GREY, lw=1.2, transform=across, clip_on=False,
            solid_capstyle="butt", zorder=4,
        )  # fmt: skip
        axes.annotate(
            names[start], (1.0, (start + end) / 2), xycoords=across, xytext=(5, 0),
            textcoords="offset points", va="center", color=GREY, fontsize=7.5,
        )  # fmt: skip


@styled
def units_overview(
    probes: pd.DataFrame, ablations: pd.DataFrame, *, variable: str = "c", memory: pd.DataFrame | None = None
) -> Figure:
    """Draw unit × signal effects and, beside them in the same order of units, unit × target losses after a refit.

    Units stand layer by layer, grouped by the signal that they track best, strongest first, then those that are
    needed although nothing was found in them, then the others.

    Args:
        probes: columns `PROBE_COLUMNS`. Where several lags were probed, a cell shows the best of them.
        ablations: columns `ABLATION_COLUMNS`; without rows, the left picture stands alone.
        variable: which of a unit's variables is shown; the first one probed where this one was not.
        memory: columns `MEMORY_COLUMNS`, if there is any: units that hold an earlier value then stand with it.
    """
    variable = shown_variable(probes, variable)
    statuses = unit_statuses(probes, ablations, variable, memory)
    order: list[UnitKey] = list(statuses.index)
    layers = several_layers(order)
    panels = [_tracks_panel(probes, order, variable, memory)]
    panels += [_needs_panel(ablations, order)] if len(ablations) else []
    groups = [TRACKS if found == TRACKS else status for status, found in zip(statuses["status"], statuses["found"])]
    if layers:
        groups = [f"layer {key[0]}: {group}" for key, group in zip(order, groups)]

    row = _row_height(len(order))
    height = row * len(order)
    top = _TITLE + max(panel.label_room[1] for panel in panels) + 0.06
    numbers = [unit_label(key, layers) for key in order]
    margin = (
        max(text_width(number, _LABEL_SIZE) for number in (max(numbers, key=len), "layer·unit" if layers else "unit"))
        + 0.15
    )
    # The names of the groups stand beside the last picture.
    beside = [0.14, max(text_width(group, 7.5) for group in set(groups)) + 0.25][-len(panels) :]
    rooms = [
        margin + max(panel.width + max(gap + _BAR_ROOM, panel.label_room[0]), *panel.text_widths) + 0.1
        for panel, gap in zip(panels, beside)
    ]
    width, whole = sum(rooms), top + max(height, _BAR_HEIGHT) + _BOTTOM
    figure = new_figure(width, whole)

    def place(x: float, wide: float, tall: float) -> Axes:
        """Make axes whose top edge is the heatmaps' own."""
        return figure.add_axes((x / width, 1 - (top + tall) / whole, wide / width, tall / whole))

    for panel, gap, x in zip(panels, beside, (margin, rooms[0] + margin)):
        axes = place(x, panel.width, height)
        mesh = _draw(axes, panel, row)
        axes.set_yticks(np.arange(len(order)) + 0.5, numbers, fontsize=min(_LABEL_SIZE, row * 72 * 0.72))
        bar = figure.colorbar(mesh, cax=place(x + panel.width + gap, 0.13, _BAR_HEIGHT), ticks=[0, 0.5, 1])
        bar.ax.set_yticklabels(["0", "0.5", "1"])
        bar.ax.tick_params(length=2, labelsize=7.5)
        bar.outline.set_visible(False)
        bar.set_label(panel.bar, fontsize=7.5)
        at: dict[str, Any] = {"x": x / width, "ha": "left", "va": "top"}
        figure.text(y=1 - 0.10 / whole, s=panel.title, weight="bold", size=10, **at)
        figure.text(y=1 - 0.30 / whole, s=panel.note, size=8, color=GREY, **at)
        above: dict[str, Any] = {"ha": "right", "va": "bottom", "size": 8, "color": GREY}
        figure.text((x - 0.05) / width, 1 - (top - 0.04) / whole, "layer·unit" if layers else "unit", **above)
    _group_names(axes, groups, row)
    return figure
