"""How many units are needed: how often each size solves a task, and every training that says so."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from lstm_probe.figures.sheet import MARGIN, Sheet
from lstm_probe.figures.style import GREY, INK, available_width, letters, styled

_CURVE, _SOLVED, _FAILED, _ANSWER = "#0173b2", "#029e73", "#d55e00", "#dff0e6"
#: With fewer trainings than this there is a dot for each, and no band and no interval: these would go from 0 to 1.
FEWEST = 5
_APART, _SPREAD = 0.035, 0.12  # octaves between the dots of one size at most, and from the first to the last


@styled
def size_search(
    curve: pd.DataFrame, trials: pd.DataFrame, *, units: int | None, low: int | None, high: int | None
) -> Figure:
    """Draw the posterior of P(solved | units) with its band, a dot for each training at its score, and the answer.

    With fewer than `FEWEST` trainings there is no band.

    Args:
        curve: columns `SIZE_CURVE_COLUMNS`, of one target or of all.
        trials: columns `SIZE_TRIAL_COLUMNS`.
        units: the answer; None for more than the largest size.
        low: lower end of its interval; None likewise.
        high: upper end of its interval; None likewise.
    """
    width, left, beside = available_width(7.6), letters(0.57), letters(2.05)
    beside = beside if width - left - beside > letters(3.2) else 0.1
    wide, tall = width - MARGIN - left - beside, letters(2.7)
    sheet = Sheet(width)
    sheet.y += letters(0.22)
    axes = sheet.axes(MARGIN + left, sheet.y, wide, tall)
    sheet.y += tall + letters(0.48)
    sizes, largest = curve["units"], int(curve["units"].max())
    beyond = largest * 1.25
    ends = (beyond if low is None else low, beyond if high is None else high)
    enough = len(trials) >= FEWEST
    if enough:
        interval = axes.axvspan(ends[0] / 1.02, ends[1] * 1.02, color=_ANSWER, zorder=0)
        interval.set_label("95 % interval")
        axes.fill_between(sizes, curve["ci_low"], curve["ci_high"], color=_CURVE, alpha=0.18, lw=0, zorder=2)
    if units is not None:
        axes.axvline(units, color=INK, lw=1.1, zorder=1, label=f"answer: {units}")
    axes.axhline(0.5, color=GREY, lw=0.8, ls=(0, (1, 2)), zorder=1)
    axes.plot(sizes, curve["p_solved"], color=_CURVE, lw=1.6, zorder=3, label="P(solved)" + ", 95 % band" * enough)
    of_size = trials.groupby("units")["units"]
    between = of_size.transform("size") - 1
    place = of_size.cumcount() - between / 2
    at = trials["units"] * 2 ** (place * (_SPREAD / between.clip(lower=1)).clip(upper=_APART))
    kinds = ((True, _SOLVED, "o", "score, solved"), (False, _FAILED, "X", "score, not solved"))
    for solved, colour, marker, name in kinds:
        own = trials["solved"].astype(bool) == solved
        if own.any():
            scores = trials.loc[own, "score"].clip(lower=0)
            axes.plot(at[own], scores, marker, color=colour, ms=5, mec="white", mew=0.5, zorder=4, label=name)
    axes.set_xscale("log", base=2)
    ticks = [int(u) for u in sizes if u & (u - 1) == 0] if len(sizes) > 8 else [int(u) for u in sizes]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(ticks, [str(u) for u in ticks])
    axes.set(xlim=(int(sizes.min()) / 1.25, beyond), ylim=(-0.04, 1.06), xlabel="units",
             ylabel="P(solved); score of the worst target")  # fmt: skip
    axes.grid(True)
    axes.set_axisbelow(True)
    sheet.legend_of(axes, beside)
    task = str(trials["task"].iloc[0]) if len(trials) else ""
    words = f"more than {largest} units" if units is None else f"{units} unit{'s' * (units > 1)}"
    axes.set_title(f"{task}: {words}")
    return sheet.finished()
