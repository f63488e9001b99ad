"""What a unit's card says of two signals that it codes together."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from lstm_probe.core.numbers import estimate, number
from lstm_probe.findings.cards import About

#: Pairs that a card names; how many more there are is said.
MOST = 2


def conjunction_sentences(own: pd.DataFrame, about: About) -> Iterator[str]:
    """Go through the sentences about the pairs of signals that a unit codes together.

    Args:
        own: the unit's rows of `conjunctions`.
        about: the unit.
    """
    if own.empty:  # as of most runs, for every unit
        return
    rows = about.of_variable(own)
    found = rows[rows["found"].astype(bool)].sort_values("effect", ascending=False, kind="stable")
    row: Any
    for row in found.head(MOST).itertuples():
        yield (f"It codes {row.signal} and {row.other} together: of what only both tell, it predicts "
               f"{estimate(row.effect, row.ci_low, row.ci_high)} (effect on {row.signal} alone "
               f"{number(row.effect_signal)}, on {row.other} alone {number(row.effect_other)}).")  # fmt: skip
    if len(found) > MOST:
        more = len(found) - MOST
        yield f"So it does {more} more pair{'s' if more > 1 else ''} of signals."
