"""What a unit's card says of its share of each target."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from lstm_probe.core.numbers import estimate
from lstm_probe.findings.cards import About
from lstm_probe.findings.words import listing

#: A share below this is not worth a word.
LEAST = 0.01


def share_sentences(own: pd.DataFrame, _: About) -> Iterator[str]:
    """Say which part of each target's score a unit brings about, the largest first.

    Args:
        own: the unit's rows of `shares`.
    """
    every, own = len(own), own.dropna(subset="share")  # of a target that was not learned
    if own.empty:
        return
    targets = "every target" if len(own) == every else "every target that was learned"
    shown: Any = own[own["share"] >= LEAST].sort_values("share", ascending=False, kind="stable").itertuples()
    told = [f"of {row.target} is {estimate(row.share, row.ci_low, row.ci_high)}" for row in shown]
    if not told:
        yield f"Its share of {targets} is below {LEAST} (Shapley)."
        return
    yield f"Its share {listing([told[0], *(one.replace(' is ', ' ', 1) for one in told[1:])])} (Shapley)."
