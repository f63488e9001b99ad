"""A card says a unit's share of each target, as the table has it."""

import math

import pandas as pd

from lstm_probe.core.columns import SHARE_COLUMNS
from lstm_probe.findings.cards import About
from lstm_probe.findings.facts import find
from lstm_probe.findings.shares import share_sentences
from tests.figures.made import ablations, populations, probe_row, probes

INFO = {"scores": {"count": 0.99}, "learned": {"count": True}, "solved": True}


def said(**values):
    """What is said of a unit with these shares."""
    rows = [dict.fromkeys(SHARE_COLUMNS, 0) | {"target": target, "share": share, "ci_low": share - 0.02,
            "ci_high": share + 0.02} for target, share in values.items()]  # fmt: skip
    own = find(INFO, probes(probe_row(0, "count", 0.1)), populations(), ablations())
    return list(share_sentences(pd.DataFrame(rows, columns=list(SHARE_COLUMNS)), About(own.units[0], own, {})))


def test_the_largest_comes_first_and_next_to_nothing_is_left_out():
    assert said(count=0.103, parity=0.312, leak=0.004) == [
        "Its share of parity is 0.31 [0.29, 0.33] and of count 0.10 [0.08, 0.12] (Shapley)."
    ]
    assert said(parity=0.5) == ["Its share of parity is 0.50 [0.48, 0.52] (Shapley)."]


def test_where_there_is_none():
    assert said(count=-0.003, parity=0.0099) == ["Its share of every target is below 0.01 (Shapley)."]
    assert said() == [] and said(parity=math.nan) == []
    assert said(count=0.5, parity=math.nan) == ["Its share of count is 0.50 [0.48, 0.52] (Shapley)."]
