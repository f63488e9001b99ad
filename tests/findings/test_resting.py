"""Sentences on where a unit comes to rest."""

from dataclasses import replace

import pandas as pd
import pytest

from lstm_probe.findings.cards import About
from lstm_probe.findings.evidence import Evidence, UnitFact
from lstm_probe.findings.facts import find
from lstm_probe.findings.resting import rest_sentences
from tests.figures.made import ablations, populations, probe_row, probes

INFO = {"scores": {"latch": 0.99}, "learned": {"latch": True}, "solved": True}
FOUND = find(INFO, probes(probe_row(0, "latch", 0.9, True)), populations(), ablations())


def about(unit=1, layer=0, metric="auroc", signal="latch", variable="c"):
    best = Evidence(signal, variable, 0, metric, 0.9, 0.8, 1.0, 0.1, 0.1, 0.1)
    found = replace(FOUND, variable=variable)
    return About(UnitFact((layer, "forward", unit), str(unit), "", best, (), (), None), found, {})


def points(rows, **told):
    table = pd.DataFrame(rows, columns=["signals", "c", "stable", "share", "input"]).assign(units=2)
    table.attrs["inputs"] = [{"input": [0.0, 0.0], "own_inputs": True, "attractors": 0.9, **told}]
    return table


ROWS = [
    ("count=2.5 latch=0", [0.0, -0.98, 5.0, 0.3], True, 0.5, 0),
    ("count=-1 latch=1", [0.5, 0.931, 5.0, 0.1], True, 0.3, 0),
    ("count=4 latch=1", [0.1, 0.96, 5.0, 0.2], True, 0.1, 0),
    ("count=4 latch=1", [0.1, -3.0, 5.0, 0.1], False, 0.0, 0),  # a saddle
    ("count=9 latch=0", [0.1, 7.0, 5.0, 0.1], True, 0.0, 0),  # where no state ends
    ("count=4 latch=1", [0.1, 9.0, 5.0, 0.1], True, 0.7, 1),  # under another input
]


def test_a_unit_rests_elsewhere_for_each_value():
    assert list(rest_sentences(points(ROWS), about())) == [
        "Left without input, it comes to rest at −0.98 where latch=0 and 0.93 to 0.96 where latch=1 "
        "(90 % of states come to rest)."
    ]
    # of the layer above: the third and fourth number
    (upper,) = rest_sentences(points(ROWS, attractors=1), about(layer=1))
    assert "0.30 where latch=0 and 0.10 to 0.20 where latch=1 (all states come to rest)." in upper


def test_a_signal_may_have_spaces_in_its_name():
    rows = [(names.replace("latch", "the latch"), *more) for names, *more in ROWS]
    (told,) = rest_sentences(points(rows), about(signal="the latch"))
    assert "at −0.98 where the latch=0 and 0.93 to 0.96 where the latch=1 (90" in told


def test_where_values_overlap_it_tells_nothing_from_there():
    rows = [ROWS[0], ("latch=1", [0.0, -1.2], True, 0.2, 0), ("latch=1", [0.0, 0.4], True, 0.2, 0)]
    (told,) = rest_sentences(points(rows), about())
    assert "−1.20 to 0.40 where latch=1; so it does not tell latch from there (90 %" in told
    (one,) = rest_sentences(points(ROWS[:1]), about())
    assert one.startswith("Left without input, it comes to rest at −0.98 where latch=0; so that does not tell latch")


@pytest.mark.parametrize(
    ("rows", "told", "unit"),
    [
        (ROWS, {}, {"metric": "r2"}),
        (ROWS, {}, {"variable": "h"}),
        (ROWS, {}, {"signal": "parity"}),
        (ROWS, {"input": [0.0, 1.0]}, {}),
        (ROWS, {"own_inputs": False}, {}),
        (ROWS[3:], {}, {}),
        ([], {}, {}),
    ],
)
def test_nothing_is_said_that_was_not_looked_at(rows, told, unit):
    assert list(rest_sentences(points(rows, **told), about(**unit))) == []
