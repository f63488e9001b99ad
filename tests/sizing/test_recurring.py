"""Units matched over the runs of a task: the words of tables whose answer is known, trained runs, and bad input."""

import numpy as np
import pandas as pd
import pytest

import lstm_probe as lp
from lstm_probe.core.errors import InputError
from lstm_probe.core.seeding import derive_seed
from lstm_probe.network.model import SequenceModel
from lstm_probe.probing.analyses.matching import MATCH_COLUMNS, SIMILARITY_COLUMNS
from lstm_probe.probing.analyses.universal import COLUMNS
from lstm_probe.sizing.recurring import Recurring, match_runs, recurring
from tests.figures.made import made_run


def words(n=5, ends=(0.6, 0.9), p=(0.01, 0.01, 0.05), signals=(), untrained=0.4):
    names = [f"n{k}" for k in range(n)]
    pairs = [(a, b) for k, a in enumerate(names) for b in names[k + 1 :]] + [("all", "all")]
    similarity = pd.DataFrame([
        ("t", "c", a, 4, b, 4, "units", 0.75, *ends, 0.1, 0.2, p[0], 0.5, p[1], untrained, p[2]) for a, b in pairs
    ], columns=list(SIMILARITY_COLUMNS))  # fmt: skip
    universal = pd.DataFrame([("t", "c", *row) for row in signals], columns=list(COLUMNS))
    return Recurring(pd.DataFrame(columns=list(MATCH_COLUMNS)), similarity, universal).sentences


WHOLE = (
    "Matched units of 5 networks: r = 0.75 [0.60, 0.90] on sequences that chose nothing (exchanged sequences 0.10, "
    "p = 0.010; random directions 0.50, p = 0.010; untrained networks 0.40, p = 0.050)."
)


def test_what_is_shown_and_what_is_not():
    assert words() == [WHOLE]
    assert words(2, (np.nan, np.nan))[0].startswith("Matched units of 2 networks: r = 0.75 on sequences")
    assert words(p=(0.051, 0.01, 0.01))[0].endswith("p = 0.010). That they respond alike is not shown.")
    assert words(p=(0.01, 0.06, 0.01))[0].endswith("). Not shown: that it is units that correspond, and not any "
                                                   "directions.")  # fmt: skip
    unknown = words(p=(0.01, 0.01, np.nan), untrained=np.nan)[0]
    assert unknown.endswith("p = 0.010; random directions 0.50, p = 0.010). Not shown: that training made them alike, "
                            "and not the inputs alone.")  # fmt: skip
    both = words(p=(0.01, 0.06, 0.06))[0]
    assert "and not any directions; that training made them alike, and not the inputs alone." in both


def test_signals_that_are_asked_about_have_a_line_each():
    rows = [
        ("near", "binary", "distractor", 5, 5, 1.0, 0.48, 1.0, 10, 10, 10, 0.9),
        ("held", "binary", "latent", 5, 1, 0.2, 0.01, 0.72, 0, 0, 0, np.nan),
        ("count", "continuous", "target", 5, 5, 1.0, 0.478, 1.0, 10, 8, 10, 0.97),
        ("late", "continuous", "target", 5, 2, 0.4, 0.05, 0.85, 1, 0, 0, np.nan),
    ]
    assert words(signals=rows)[1:] == [
        "count: in 5 of 5 networks a unit tracks it (95 % interval of the share 0.48 to 1.00); of 10 pairs, the two "
        "best are matched in 8 by responses, in 10 by signals, mean |r| 0.97.",
        "late: in 2 of 5 networks a unit tracks it (95 % interval of the share 0.05 to 0.85); of 1 pair, the two "
        "best are matched in 0 by responses, in 0 by signals.",
        "held: in 1 of 5 networks a unit tracks it (95 % interval of the share 0.01 to 0.72).",
    ]


def run_with_network(folder, units=4, seed=0, scores=None, **config):
    """A made-up run that has a network, an untrained one."""
    run = made_run(folder, units, seed, scores, **config)
    run.__dict__["model"] = SequenceModel(7, 5, units, seed=100 + seed).eval()
    return run


def test_runs_are_matched_on_new_sequences_of_their_task(tmp_path):
    runs = [run_with_network(tmp_path, units, seed) for units, seed in ((4, 0), (4, 1), (6, 0))]
    found = match_runs(runs, sequences=32, permutations=9, seed=3)
    batch = runs[0].task.sample(32, derive_seed(3, "matching data"))
    networks = {run.name: run.model for run in runs}
    assert found.matches.equals(lp.match_units(networks, batch, permutations=9, seed=3, task="tracking"))
    alone = found.similarity[found.similarity["network"] != "all"]
    assert alone["other"].unique().tolist() == [runs[1].name, runs[2].name]
    assert list(found.signals) == list(COLUMNS) and (found.signals["n_networks"] == 3).all()
    count = found.signals.set_index("signal").loc["count"]
    assert (count["tracked_in"], count["n_pairs"]) == (3, 3)
    assert len(found.sentences) == 6 and found.sentences[1].startswith("count: in 3 of 3 networks a unit tracks it")


def test_what_cannot_be_concluded_is_refused(tmp_path):
    runs = [run_with_network(tmp_path, 4, seed) for seed in range(2)]
    with pytest.raises(InputError, match="there are 1; whether units recur cannot be concluded from fewer than two"):
        match_runs(runs[:1])
    other = made_run(tmp_path, 8)
    other.__dict__["info"] = other.info | {"task": "parity"}
    with pytest.raises(InputError, match=r"of several tasks \(parity, tracking\); units are matched between"):
        match_runs([*runs, other])
    with pytest.raises(InputError, match="tracking with several settings of the task"):
        match_runs([*runs, made_run(tmp_path, 4, 2, task={"name": "tracking", "length": 9})])
    bare = run_with_network(tmp_path, 4, 3)
    bare.__dict__["info"] = bare.info | {"measured": []}
    with pytest.raises(InputError, match=f"{bare.name}: its units were not probed"):
        match_runs([*runs, bare])


def test_a_report_matches_a_few_networks_that_learned_it(tmp_path, monkeypatch):
    runs = [run_with_network(tmp_path, units, seed) for units in (2, 4, 8) for seed in range(3)]
    runs.append(run_with_network(tmp_path, 16, 0, {"parity": 0.1}))
    seen = []
    known = match_runs(runs[:2], sequences=8, permutations=3)
    monkeypatch.setattr("lstm_probe.sizing.recurring.match_runs", lambda own: seen.append(own) or known)
    ((name, found),) = recurring(runs).items()
    assert name == "tracking" and [run.info["units"] for run in seen[0]] == [2, 2, 4, 8, 8]
    assert found.lines[0].startswith("5 of 9 networks that learned it, from the smallest to the largest: Matched")
    assert [row["measure"] for row in found.rows] == ["units", "signals", "cka", "procrustes"]
    assert (
        recurring(runs[:2])["tracking"].lines[0].startswith("Matched units of 2 networks") and recurring(runs[:1]) == {}
    )


def test_a_network_that_cannot_be_read_is_told(tmp_path):
    found = recurring([made_run(tmp_path, 4, seed) for seed in range(2)])["tracking"]
    assert found.lines[0].startswith("Their units were not matched: ") and "model.safetensors" in found.lines[0]
    assert found.rows == []
