"""From which units does each output read? What their memories move when they come from another sequence."""

import pandas as pd
from matplotlib.figure import Figure

from lstm_probe.figures.shares import share_bars
from lstm_probe.figures.style import styled


@styled
def patches(table: pd.DataFrame) -> Figure:
    """Draw the units that move each output most, and all others together, a panel for each target.

    Bars are shares of what the whole state moves, lines their 95 % intervals; the bar of all others has none.

    Args:
        table: rows of `patch_units` for one number of steps after and one signal, or all pairs, without missing shares.
    """
    after = int(table["after"].iloc[0])
    later = f"{after} step{'' if after == 1 else 's'} later"
    label = f"share of what the whole state of another sequence moves, {later}"
    return share_bars(table, "moved", "From which units do the outputs read?", label)
