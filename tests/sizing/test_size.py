"""The search for the smallest size: what it trains, finds and keeps; with trainings that are made up."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import lstm_probe as lp
from lstm_probe.core.run_columns import SIZE_CURVE_COLUMNS, SIZE_SCORE_COLUMNS, SIZE_TRIAL_COLUMNS
from lstm_probe.runs.settings import RunSettings
from lstm_probe.runs.store import result_config, run_folder
from lstm_probe.sizing.answer import _smallest, size_sentence, target_sentence
from lstm_probe.sizing.posterior import Posterior
from lstm_probe.sizing.stored import load_size, stored_names, stored_sizes
from tests.sizing.made import make_up


def step(at):
    return lambda units, seed: 0.995 if units >= at else 0.2


def test_a_step_is_found_and_every_training_is_a_run(tmp_path, monkeypatch):
    trained = make_up(monkeypatch, step(6))
    found = lp.size("parity", outputs=tmp_path)
    assert (found.units, found.low, found.high, found.possible) == (6, 6, 6, 6)
    assert found.narrow and found.trained == len(trained) == len(found.trials) <= 16
    assert len(set(trained)) == len(trained)
    for row in found.trials.itertuples():
        settings = RunSettings(task=result_config(RunSettings(task={"name": "parity"}))["task"], units=row.units,
                               seed=row.seed)  # fmt: skip
        assert run_folder(tmp_path, result_config(settings)).name == row.run  # as `train` would call it
        assert (tmp_path / "runs" / "parity" / row.run / "run.json").is_file()
    for units, own in found.trials.groupby("units"):
        assert list(own["seed"]) == list(range(len(own))), units
    assert list(found.trials.columns) == list(SIZE_TRIAL_COLUMNS) == list(lp.columns("size_trials"))
    assert list(found.scores.columns) == list(SIZE_SCORE_COLUMNS) == list(lp.columns("size_scores"))
    assert list(found.curve.columns) == list(SIZE_CURVE_COLUMNS) == list(lp.columns("size_curve"))
    assert list(found.curve["units"]) == list(range(1, 65)) and found.curve["tried"].sum() == len(trained)
    below = found.trials.loc[found.trials["units"] < 6, "units"].value_counts()
    expected = f"; 5 were enough in none of {below[5]} seeds)"
    assert found.sentence == "parity needs 6 units (95 % interval 6 to 6" + expected
    assert found.seconds == 2.0 * len(trained) and not found.trials["there"].any()


def test_the_next_training_is_where_the_posterior_says(tmp_path, monkeypatch):
    trained = make_up(monkeypatch, step(3))
    lp.size("parity", largest=8, outputs=tmp_path)
    seen = []
    for units, _ in trained:
        assert units == Posterior(1, 8, seen).best_next()
        seen.append((units, units >= 3))


def test_repeated_it_trains_nothing_and_stopped_it_goes_on(tmp_path, monkeypatch):
    whole = make_up(monkeypatch, step(5))
    expected = lp.size("parity", outputs=tmp_path / "whole", largest=16)
    left = [4]

    def stopped(units, seed):
        left[0] -= 1
        return None if left[0] < 0 else step(5)(units, seed)

    first = make_up(monkeypatch, stopped)
    with pytest.raises(KeyboardInterrupt):
        lp.size("parity", outputs=tmp_path / "own", largest=16)
    rest = make_up(monkeypatch, step(5))
    found = lp.size("parity", outputs=tmp_path / "own", largest=16)
    assert len(first) == 4 and first + rest == whole
    pd.testing.assert_frame_equal(found.trials, expected.trials)
    assert (found.trained, found.sentence) == (expected.trained, expected.sentence)
    file = found.path / "answer.json"
    before, none = file.stat().st_mtime_ns, make_up(monkeypatch, step(5))
    again = lp.size("parity", outputs=tmp_path / "own", largest=16)
    assert none == [] and again.sentence == found.sentence and file.stat().st_mtime_ns == before
    assert again.trained == found.trained


def test_the_budget_ends_a_search_and_a_larger_one_goes_on(tmp_path, monkeypatch):
    def law(units, seed):
        return 0.995 if np.random.default_rng([units, seed]).random() < units / 12 else 0.4

    trained = make_up(monkeypatch, law)
    few = lp.size("parity", outputs=tmp_path, largest=32, budget=6)
    assert len(trained) == few.trained == 6 and not few.narrow
    again = lp.size("parity", outputs=tmp_path, largest=32, budget=6)
    assert len(trained) == 6 and again.sentence == few.sentence
    more = lp.size("parity", outputs=tmp_path, largest=32, budget=9)
    assert len(trained) == more.trained == 9
    assert 1 <= more.low <= more.units <= 32 and (more.high or 33) > more.units and not more.narrow


def test_runs_that_are_there_count_first_and_not_to_the_budget(tmp_path, monkeypatch):
    trained = make_up(monkeypatch, step(6))
    base = RunSettings(task=result_config(RunSettings(task={"name": "parity"}))["task"], outputs=str(tmp_path),
                       measure="none")  # fmt: skip
    from lstm_probe.runs.making import Measuring
    from lstm_probe.runs.training import train_run

    nothing = Measuring((), {}, 1, lambda run, folder: None)
    there = [(5, 0), (5, 1), (6, 1), (6, 3), *((40, seed) for seed in range(15))]
    for units, seed in there:
        train_run(replace(base, units=units, seed=seed), nothing)
    other = base.probe.__class__(permutations=99)  # measured otherwise, but the same training
    train_run(replace(base, units=5, seed=7, probe=other), nothing)
    train_run(replace(base, units=4, lr=0.01), nothing)  # another experiment
    train_run(replace(base, units=4, test_sequences=64), nothing)  # tested otherwise
    train_run(replace(base, units=90), nothing)  # larger than what is asked about
    before = len(trained)
    found = lp.size("parity", outputs=tmp_path, budget=15)
    made = trained[before:]
    of = found.trials[found.trials["there"]]
    assert set(zip(of["units"], of["seed"])) == {*there, (5, 7)}
    assert found.trained == len(made) and not set(made) & {*there, (5, 7)}
    assert (found.units, found.low, found.high) == (6, 6, 6) and found.narrow and made
    fresh = make_up(monkeypatch, step(6))
    lp.size("parity", outputs=tmp_path / "empty")
    assert len(made) < len(fresh)


def test_each_target_has_an_answer_of_its_own(tmp_path, monkeypatch):
    def law(units, seed):
        return {"bit0": 0.999, "bit1": 0.995 if units >= 4 else 0.5, "bit2": 0.992 if units >= 7 else 0.1}

    make_up(monkeypatch, law)
    found = lp.size(lp.get_task("flipflop", bits=3), outputs=tmp_path)
    assert list(found.targets) == ["bit0", "bit1", "bit2"] and found.units == 7
    easy, middle, hard = found.targets.values()
    tried = found.trials["units"]
    assert easy.sentence == f"bit0: at most {easy.high} units (1 to {easy.high})" and easy.high <= tried.min()
    assert middle.low <= 4 <= middle.high and middle.possible == tried[tried >= 4].min()
    assert hard.sentence == f"bit2: 7 units ({found.low} to {found.high})" and hard.curve.equals(
        found.curve.assign(target="bit2")
    )
    own = found.scores[found.scores["target"] == "bit1"]
    assert list(own["solved"]) == list(own["units"] >= 4) and set(own["threshold"]) == {0.99}
    lacking = found.trials.set_index("units")["lacking"]
    assert (lacking == "bit2").all()


@pytest.mark.parametrize(
    ("outcomes", "whole", "target"),
    [
        ([(8, True)], "t needs at most 16 units (95 % interval 1 to 16)", "a: at most 16 units (1 to 16)"),
        ([(8, False)], "t needs at least 2 units (95 % interval 2 to more than 64; 8 were enough in none of 1 seed)",
         "a: at least 2 units (2 to more than 64)"),
        ([(8, True), (8, False)] * 2, "How many units t needs is not told (95 % interval 1 to more than 64): 2 of 4 "
         "trainings solved it", "a: not told (1 to more than 64)"),
        ([(64, False)] * 4, "t was not found to be solved by half of the trainings at any size of up to 64 units (95 % "
         "interval 11 to more than 64): none of 4 trainings solved it; near", "a: at least 11 units (11 to more than "
         "64)"),
        ([(2, False), (3, True)] * 4, "t needs 3 units (95 % interval 3 to 3; 2 were enough in none of 4 seeds)",
         "a: 3 units (3 to 3)"),
    ],
)  # fmt: skip
def test_no_more_is_said_than_trainings_showed(outcomes, whole, target):
    """One that was large enough says nothing of smaller ones, and one that was too small nothing of what is enough."""
    found = _smallest(outcomes, (1, 64))
    assert (size_sentence("t", found, "near"), target_sentence("a", found)) == (whole, target)


def test_what_no_size_solves_is_said_with_the_nearest(tmp_path, monkeypatch):
    trained = make_up(monkeypatch, lambda units, seed: 0.9 - abs(units - 16) / 100)
    found = lp.size("parity", outputs=tmp_path, largest=16)
    assert found.units is None and found.high is None and found.possible is None and len(trained) <= 10
    said = "was not found to be solved by half of the trainings at any size"
    assert found.low == 16  # the last size is not excluded
    assert found.sentence.startswith(f"parity {said} of up to 16 units (95 % interval 16 to more than 16): ")
    assert found.sentence.endswith(
        f"none of {len(trained)} trainings solved it; the nearest was 16 units with 0.900 of parity, of which 0.99 "
        "counts as solved"
    )


def test_what_is_beyond_for_sure_is_said_so(tmp_path, monkeypatch):
    make_up(monkeypatch, lambda units, seed: 0.5)
    from lstm_probe.runs.making import Measuring
    from lstm_probe.runs.training import train_run

    task = result_config(RunSettings(task={"name": "parity"}))["task"]
    for seed in range(50, 60):
        train_run(RunSettings(task=task, units=4, seed=seed, outputs=str(tmp_path), measure="none"),
                  Measuring((), {}, 1, lambda run, folder: None))  # fmt: skip
    found = lp.size("parity", outputs=tmp_path, largest=4)
    assert (found.units, found.low, found.high) == (None, None, None) and set(found.trials["seed"]) >= set(
        range(50, 60)
    )
    assert found.sentence.startswith(
        "parity is solved by half of the trainings at no size of up to 4 units (95 % interval"
    )


def test_a_threshold_may_be_given(tmp_path, monkeypatch):
    trained = make_up(monkeypatch, lambda units, seed: min(1.0, units / 10))
    found = lp.size("parity", outputs=tmp_path, largest=16, solved=0.72)
    assert (found.units, found.rule) == (8, "solved=0.72") and found.thresholds == {"parity": 0.72}
    count = len(trained)
    other = lp.size("parity", outputs=tmp_path, largest=16, solved=0.42)
    assert other.units == 5 and other.path != found.path
    assert other.trained == len(trained) - count and (other.trials["there"].sum()) == count


def test_what_has_no_threshold_is_held_against_large_networks(tmp_path, monkeypatch):
    def law(units, seed):
        return min(units, 9) / 15 + (0.3 if (units, seed) == (32, 0) else 0)  # one lucky network moves no median

    trained = make_up(monkeypatch, law)
    found = lp.size("table", outputs=tmp_path, largest=32)
    assert trained[:4] == [(16, 0), (32, 0), (16, 1), (32, 1)]
    assert found.thresholds == {"y_balance": pytest.approx(0.58)} and found.units == 9
    assert found.rule == "networks of 16 and 32 units reach 0.600 of y_balance (median of 4), less margin=0.02"
    wide = lp.size("table", outputs=tmp_path, largest=32, margin=0.1)
    assert wide.units == 8 and len(trained) > found.trained
    given = lp.size("table", outputs=tmp_path, largest=32, solved=0.3)
    assert given.units == 5 and given.rule == "solved=0.3"
    make_up(monkeypatch, lambda units, seed: 0.04)
    with pytest.raises(lp.InputError, match=r"y_balance: networks of 16 and 32 units reach 0\.04"):
        lp.size("table", outputs=tmp_path / "other", largest=32)


def test_answers_are_kept_and_found(tmp_path, monkeypatch):
    make_up(monkeypatch, step(3))
    found = lp.size("parity", outputs=tmp_path, largest=16)
    lp.size(lp.get_task("flipflop", bits=2), outputs=tmp_path, layers=2)
    read = load_size(found.path)
    for name in ("units", "low", "high", "possible", "sentence", "thresholds", "rule", "trained", "seconds", "narrow"):
        assert getattr(read, name) == getattr(found, name)
    for name in ("trials", "scores", "curve"):
        pd.testing.assert_frame_equal(getattr(read, name), getattr(found, name))
    assert {path.name for path in found.path.iterdir()} == {
        "answer.json", "trials.parquet", "scores.parquet", "curve.parquet", "size.svg", "size.png", "trained.json",
    }  # fmt: skip
    answers, damaged = stored_sizes(tmp_path)
    assert stored_names(answers) == ["flipflop, task.bits=2, layers=2", "parity, largest=16"] and not damaged
    table = found.path / "trials.parquet"
    table.write_bytes(table.read_bytes()[:-1] + b"x")
    answers, damaged = stored_sizes(tmp_path, "parity")
    assert not answers and "damaged (its checksum is wrong)" in damaged[0]
    assert lp.size("parity", outputs=tmp_path, largest=16).sentence == found.sentence  # from its runs
    assert not stored_sizes(tmp_path)[1]


def test_with_a_projection_sizes_begin_above_it(tmp_path, monkeypatch):
    trained = make_up(monkeypatch, step(1))
    found = lp.size("parity", outputs=tmp_path, projection=4, largest=9)
    assert found.units == found.low == found.high == 5 and min(trained)[0] == 5
    assert found.sentence == "parity needs 5 units (95 % interval 5 to 5)"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"largest": 0}, ["largest=0: must be a whole number from 1 to 512."]),
        ({"budget": 3}, ["budget=3: must be a whole number from 4 to 10000."]),
        ({"solved": 1.2}, ["solved=1.2: must be a number from 0.01 to 1 or null."]),
        ({"units": 8}, ["units=8: size finds the units itself; the most that it tries are given by largest=64."]),
        ({"seeds": 1, "lr": -1.0}, ["seeds=1: size chooses how many seeds of each size it trains: one seed cannot tell "
                                    "how often a size solves the task; the trainings in all are given by budget=25.",
                                    "lr=-1: must be a number from 1e-07 to 10."]),
        ({"step": 8}, ["step=8: no such setting. Did you mean 'steps'?"]),
        ({"projection": 8, "largest": 8}, ["projection=8: must be below largest=8; 0 means no projection."]),
        ({"tbptt": 4}, ["tbptt=4: the sequences of parity do not follow one another; it must be 1."]),
    ],
)  # fmt: skip
def test_bad_input_is_refused_before_anything_is_made(arguments, said, tmp_path):
    with pytest.raises(lp.InputError) as caught:
        lp.size("parity", outputs=tmp_path / "out", **arguments)
    assert list(caught.value.problems) == said
    assert not (tmp_path / "out").exists()


def test_a_table_too_small_to_hold_out_is_refused(tmp_path):
    rows = [{"sequence": k, "x_a": float(t), "y_b": float(t * k)} for k in range(6) for t in range(4)]
    pd.DataFrame(rows).to_csv(tmp_path / "few.csv", index=False)
    with pytest.raises(lp.InputError, match="of 6 sequences, 3 are held out of training; to measure on"):
        lp.size(lp.get_task("table", path=str(tmp_path / "few.csv")), outputs=tmp_path)
