"""What a card says of interchange: that its signal is read, that it is not, that it is another, that nobody knows."""

import pandas as pd
import pytest

from lstm_probe.causal.patches import COLUMNS
from lstm_probe.causal.status import NOW
from lstm_probe.findings.cards import About
from lstm_probe.findings.facts import find
from lstm_probe.findings.patches import patch_sentences
from tests.figures.made import ablation_row, ablations, populations, probe_row, probes

INFO = {"scores": {"count": 0.99, "bit": 0.98}, "learned": {"count": True, "bit": True}, "solved": True}


def row(signal, target, reads, moved=0.5, width=0.02, after=1, **more):
    known = reads != "no pair"
    values = {"moved": moved, "ci_low": moved - width, "ci_high": moved + width} if known else {}
    return dict.fromkeys(COLUMNS, float("nan")) | {
        "layer": 0, "direction": "forward", "unit": 0, "signal": signal, "target": target, "after": after,
        "reads": reads, "instead": "", "not_apart": "", **values, **more,
    }  # fmt: skip


def said(*rows, tracks=True, costs=("bit",)):
    table = probes(probe_row(0, "count", 0.9 if tracks else 0.1, tracks), probe_row(0, "bit", 0.1))
    table = table.assign(curved=0.0, tracks_curved=False)
    clamped = ablations(
        *(ablation_row(0, name, 0.4 if name in costs else 0.0, name in costs) for name in ("count", "bit"))
    )
    found = find(INFO, table, populations(), clamped)
    assert not tracks or found.units[0].best.how == NOW
    return " ".join(patch_sentences(pd.DataFrame(rows), About(found.units[0], found, {})))


def test_its_signal_is_read():
    rows = [row("count", "count", "yes", 0.83), row("count", "count", "yes", 0.7, after=5)]
    assert said(*rows, costs=()) == (
        "The output reads its count: put in from another sequence, it moves 0.83 [0.81, 0.85] of what the whole state "
        "moves 1 step later, 0.70 after 5."
    )
    assert "count, or twin, which can't be told from it in these pairs: put" in said(
        row("count", "count", "yes", not_apart="twin")
    )


def test_it_tracks_and_nothing_is_read_but_it_is_needed_for_something_else():
    rows = [row("count", "count", "no", 0.01), row("any", "count", "no", 0.01), row("any", "bit", "yes", 0.3)]
    assert said(*rows) == (
        "It tracks count, but 1 step later the output does not read it from this unit (moved -0.01 to 0.03). It is "
        "needed, for something else: put in from another sequence, it moves bit: 0.30 [0.28, 0.32] of what the whole "
        "state moves 1 step later."
    )
    assert "It moves this output, put in from another sequence: bit: 0.30" in said(*rows, costs=())


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([row("count", "count", "not told", 0.1, 0.2)],
         "Whether the output reads its count from this unit could not be told (moved -0.10 to 0.30, 1 step later)."),
        ([row("count", "count", "no", 0.0), row("count", "count", "not told", 0.1, 0.2, after=5)],
         "Whether the output reads its count from this unit could not be told (moved -0.10 to 0.30, 1 to 5 "
         "steps later)."),
        ([row("count", "count", "no", 0.016), row("count", "count", "little", 0.07, after=5)],
         "It tracks count, but 1 to 5 steps later the output reads little of it from this unit (moved 0.00 to "
         "0.09)."),
        ([row("count", "bit", "another signal", instead="bit")],
         "It tracks count, but what bit reads from it goes with bit."),
        ([row("count", "count", "no pair")],
         "Whether an output reads its count could not be tested: too few pairs of sequences differ in it and move "
         "one."),
    ],
)  # fmt: skip
def test_what_is_not_shown_is_not_called_no(rows, words):
    assert said(*rows) == words


def test_what_is_needed_and_moves_little_is_said_with_its_number():
    rows = [row("count", "count", "yes"), row("any", "bit", "no", 0.02)]
    assert said(*rows).endswith("It is needed for bit, but moves little there (0.04 at most, 1 step later).")
    rows = [row("any", "bit", "yes", 0.4), row("any", "count", "yes", 0.2)]
    assert said(*rows, tracks=False).startswith("It moves these outputs, put in from another sequence: bit: 0.40")


def test_of_what_reads_backwards_the_outputs_are_those_of_earlier_steps():
    read = [row("count", "count", "yes", after=after, direction="reverse") for after in (1, 5)]
    assert said(*read, costs=()).endswith("of what the whole state moves 1 step earlier, 0.50 after 5.")
    little = row("count", "count", "no", 0.0, direction="reverse")
    assert "but 1 step earlier the output does not read it from this unit (moved -0.02 to 0.02)." in said(
        little, costs=()
    )


def test_what_moves_an_output_later_is_told_from_there_on():
    slow = [
        row("any", "bit", "no", 0.0),
        row("any", "bit", "yes", 0.2, after=5),
        row("any", "bit", "yes", 0.3, after=15),
    ]
    assert said(*slow, tracks=False).endswith(
        "bit: 0.20 [0.18, 0.22] of what the whole state moves 5 steps later, 0.30 after 15."
    )
