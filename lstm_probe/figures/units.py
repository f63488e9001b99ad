"""The picture of a whole run: what each unit tracks, and beside it what it costs to clamp it."""

from dataclasses import replace

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lstm_probe.causal.status import ALONE, FOUND, TOGETHER, TRACKS, found_rows, unit_statuses
from lstm_probe.cells.declared import Cell
from lstm_probe.cells.known import word_of
from lstm_probe.core.order import UNIT, UnitKey, several_layers, shown_variable, signal_order, unit_label
from lstm_probe.core.vocabulary import CLAMPED_TO
from lstm_probe.figures.style import TRACKS_MAP, USES_MAP, styled
from lstm_probe.figures.unit_maps import Panel, Rows, draw_maps, most_rows

#: What the row of all others is called where they are of several kinds.
OTHERS = "others"


def _matrix(table: pd.DataFrame, columns: str, values: str, order: list[UnitKey], names: list[str]) -> np.ndarray:
    """Return units × columns, the largest where there are several rows (lags); NaN where there is none."""
    rows, places = ({each: k for k, each in enumerate(own)} for own in (order, names))
    out = np.full((len(order), len(names)), np.nan)
    units = table[UNIT].itertuples(index=False, name=None)
    for unit, name, value in zip(units, table[columns], table[values].to_numpy(dtype=float)):
        if unit in rows and name in places:
            at = rows[unit], places[name]
            out[at] = np.fmax(out[at], value)
    return out


def _tracks_panel(
    probes: pd.DataFrame, order: list[UnitKey], variable: str, memory: pd.DataFrame | None,
    cell: Cell | None,
) -> Panel:  # fmt: skip
    own = probes[probes["variable"] == variable]
    names = signal_order(probes)
    roles = probes.drop_duplicates("signal").set_index("signal")["role"]
    word = word_of(variable, cell)
    lags = sorted(own["lag"].unique())
    of_lags = "" if lags == [0] else f"\nbest of lags {', '.join(map(str, lags))}"
    effects = _matrix(own, "signal", "effect", order, names)
    undefined = "; grey: undefined" if np.isnan(effects).any() else ""
    dots = _matrix(own.assign(tracks=own["tracks"].astype(float)), "signal", "tracks", order, names) > 0
    found = found_rows(own, None if memory is None else memory[memory["variable"] == variable])
    rings = _matrix(found.assign(found=1.0), "signal", "found", order, names) > 0 if len(found) else dots
    rings = rings & ~dots
    ring = "; ring: earlier, or along a curve" if rings.any() else ""
    return Panel(
        effects,
        dots,
        rings,
        [name if roles[name] == "target" else f"{name}\n{roles[name]}" for name in names],
        "What each unit remembers",
        f"its {word} {variable} against each signal; dot: tracks{ring}{undefined}",
        "effect: R²; of yes/no and classes\n2·AUROC − 1; 0 chance, 1 exact" + of_lags,
        TRACKS_MAP,
    )


def _needs_panel(ablations: pd.DataFrame, order: list[UnitKey]) -> Panel:
    names = list(ablations["target"].unique())
    variable, mode = ablations["variable"].iloc[0], ablations["mode"].iloc[0]
    dots, rings = (_matrix(ablations.assign(needed=(ablations["needed"] == needed).astype(float)), "target", "needed",
                           order, names) > 0 for needed in (ALONE, TOGETHER))  # fmt: skip
    refitted = bool(ablations["refit_drop"].notna().any())
    marks = "; dot: needed alone" + ("; ring: needed together" if rings.any() else "")
    return Panel(
        _matrix(ablations, "target", "refit_drop" if refitted else "score_drop", order, names),
        dots,
        rings,
        names,
        "What it costs to clamp it alone",
        f"its {variable} at {CLAMPED_TO[mode]} for all steps{marks if refitted else ''}",
        "loss of the target's score,\n" + ("brought back to scale; 1 = all" if refitted else "as it stands; 1 = all"),
        USES_MAP,
    )


@styled
def units_overview(
    probes: pd.DataFrame, ablations: pd.DataFrame, *, variable: str = "c", memory: pd.DataFrame | None = None,
    cell: Cell | None = None,
) -> Figure:  # fmt: skip
    """Draw unit × signal effects and, beside them in the same order of units, unit × target losses after a refit.

    Units stand layer by layer, grouped by the signal that they track best, strongest first, then those that are
    needed although nothing was found in them, then the others. Where there is no room for all, those of which nothing
    was found are one row, which shows the largest of each column; and so are the weakest where that is not enough.

    Args:
        probes: columns `PROBE_COLUMNS`. Where several lags were probed, a cell shows the best of them.
        ablations: columns `ABLATION_COLUMNS`; without rows, the left picture stands alone.
        variable: which of a unit's variables is shown; the first one probed where this one was not.
        memory: columns `MEMORY_COLUMNS`, if there is any: units that hold an earlier value then stand with it.
        cell: what the units are, for the words; None: an LSTM.
    """
    variable = shown_variable(probes, variable)
    statuses = unit_statuses(probes, ablations, variable, memory)
    order: list[UnitKey] = list(statuses.index)
    layers = several_layers(order)
    groups = [TRACKS if found == TRACKS else status for status, found in zip(statuses["status"], statuses["found"])]
    if layers:
        groups = [f"layer {key[0]}: {group}" for key, group in zip(order, groups)]

    panels = [_tracks_panel(probes, order, variable, memory, cell)]
    panels += [_needs_panel(ablations, order)] if len(ablations) else []
    signals = [str(signal) for signal in statuses["signal"]]
    kept = _kept(groups, signals, most_rows(panels, groups))
    rows = Rows([unit_label(key, layers) for key in order], groups, "layer·unit" if layers else "unit")
    return draw_maps(*_folded(panels, rows, kept))


def _kept(groups: list[str], signals: list[str], most: int) -> list[int]:
    """Return the places of the units that have a row each: all, or those of which something is known, strongest first.

    >>> _kept(["tracks", "tracks", "tracks", "nothing found, not needed"], ["a", "a", "b", ""], 3)
    [0, 2]
    """
    if len(groups) <= most:
        return list(range(len(groups)))
    known = [k for k, group in enumerate(groups) if not group.split(": ")[-1].startswith(FOUND[1:])]
    if not known:
        return list(range(most - 1))
    # Of each group and signal the strongest, as many of one as of another.
    kinds = list(zip(groups, signals))
    ranks = [kinds[:k].count(kinds[k]) for k in known]
    return sorted(k for _, k in sorted(zip(ranks, known))[: most - 1])


def _folded(panels: list[Panel], rows: Rows, kept: list[int]) -> tuple[list[Panel], Rows]:
    """Return panels and rows in which all units but those kept are the last row."""
    others = sorted(set(range(len(rows.names))) - set(kept))
    if not others:
        return panels, rows
    small = [replace(panel, values=_with_largest(panel.values, kept, others),
                     marks=_with_largest(panel.marks, kept, others) > 0,
                     rings=_with_largest(panel.rings, kept, others) > 0) for panel in panels]  # fmt: skip
    small[0] = replace(small[0], note=f"{small[0].note}; last row: the largest of {len(others)} other units")
    of = {rows.groups[k] for k in others}
    groups = [*(rows.groups[k] for k in kept), of.pop() if len(of) == 1 else OTHERS]
    return small, Rows([*(rows.names[k] for k in kept), f"{len(others)} others"], groups, rows.title)


def _with_largest(values: np.ndarray, kept: list[int], others: list[int]) -> np.ndarray:
    rest = values[others].astype(float)
    known = ~np.isnan(rest).all(0)
    largest = np.full(rest.shape[1], np.nan)
    largest[known] = np.nanmax(rest[:, known], axis=0)
    return np.vstack([values[kept].astype(float), largest])
