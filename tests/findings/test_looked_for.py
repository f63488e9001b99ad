"""The list of codes that were looked for is true of every choice of analyses and kinds of signals."""

from itertools import combinations

import pytest

from lstm_probe.findings.looked_for import ANGLES, CODES, NEVER, looked_for
from lstm_probe.runs.analyses import ANALYSES, default_names


def parts(sentence):
    made, missed = sentence.removesuffix(".").removeprefix("Looked for: ").split(". Not looked for: ")
    return [] if made == "nothing" else made.split("; "), missed.split("; ")


def test_every_code_is_on_one_side_and_that_of_what_was_made():
    for size in range(len(CODES) + 1):
        for chosen in combinations(CODES, size):
            made, missed = parts(looked_for(["ablations", *chosen], ["continuous", "binary"]))
            assert made == [words for name in chosen for words in CODES[name]]
            asked = [f"{words} (analysis {name})" for name in CODES if name not in chosen for words in CODES[name]]
            assert missed == [*asked, f"{ANGLES} (no signal is of kind circular)", *NEVER]


def test_angles_are_looked_for_where_a_signal_is_one():
    made, missed = parts(looked_for(["probes"], ["circular", "binary"]))
    assert made[-1] == ANGLES and not any(ANGLES in words for words in missed)
    assert looked_for([], ["circular"]).startswith("Looked for: nothing. Not looked for: ")


def test_names_are_those_of_the_list():
    assert set(CODES) <= set(ANALYSES)
    made, missed = parts(looked_for(default_names("probe"), ["continuous"]))
    assert "one unit along a curve" in made and "two signals together in one unit (analysis conjunctions)" in missed


@pytest.mark.parametrize("name", ["tuning", "power", "ablations", "description", "confounds"])
def test_what_looks_for_no_code_changes_nothing(name):
    assert looked_for(["probes", name], []) == looked_for(["probes"], [])
