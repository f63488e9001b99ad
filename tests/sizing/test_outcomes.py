"""What a sweep's words say: read back from the sentences, they are the outcomes of the runs, and nothing else."""

import random
import re
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_probe.runs.run import load_run
from lstm_probe.sizing.answer import Trial, nearest_words
from lstm_probe.sizing.outcomes import OUTCOME_COLUMNS, outcome_words, size_outcomes
from lstm_probe.tasks import complete_task
from tests.figures.made import made_run

OLD = next((Path(__file__).parents[1] / "data" / "schema1" / "flipflop").iterdir())


def sweep(folder, parity, **config):
    """Runs whose parity score is given as {(units, seed): score}; all else is solved."""
    return [made_run(folder, units, seed, {"parity": score}, **config) for (units, seed), score in parity.items()]


def sentence_of(outcomes, criterion="solved", best=0.5):
    """The sentence on one target of which {size: (reached, seeds)}."""
    rows = [
        ("t", 1, "count", criterion, 0.99, units, n, reached, 0.995 if reached else best)
        for units, (reached, n) in sorted(outcomes.items())
    ]
    _, sentence = outcome_words(pd.DataFrame(rows, columns=list(OUTCOME_COLUMNS)))["t"]
    return sentence


@pytest.mark.parametrize(
    ("outcomes", "sentence"),
    [
        (
            {2: (0, 2), 8: (2, 2)},
            "count: solved with 8 units in 2 of 2 seeds; with 2 in 0 of 2: between 3 and 8 (3 to 7 not tried)",
        ),
        (
            {2: (1, 2), 8: (2, 2)},
            "count: solved with 2 units in 1 of 2 seeds, with 8 in 2 of 2: 8 or fewer "
            "(fewer than 2 and 3 to 7 not tried)",
        ),
        (
            {2: (2, 2), 8: (2, 2), 32: (2, 2)},
            "count: solved with 2, 8 and 32 units in 2 of 2 seeds each; fewer than 2 not tried",
        ),
        (
            {2: (0, 2), 8: (0, 3)},
            "count: solved with 2 units in 0 of 2 seeds, with 8 in 0 of 3; the best score is 0.500, with 2 units; "
            "more than 8 not tried",
        ),
        (
            {2: (0, 2), 8: (2, 2), 16: (0, 2)},
            "count: solved with 8 units in 2 of 2 seeds; with 2 and 16 in 0 of 2 each; not in every seed with 16, "
            "the most units tried; more units did not always do better",
        ),
        (
            {4: (2, 2), 8: (1, 2), 16: (2, 2)},
            "count: solved with 4 units in 2 of 2 seeds, with 8 in 1 of 2, with 16 in 2 of 2: 16 or fewer "
            "(fewer than 4, 5 to 7 and 9 to 15 not tried); more units did not always do better",
        ),
        (
            {7: (0, 5), 8: (5, 5)},
            "count: solved with 8 units in 5 of 5 seeds; with 7 in 0 of 5: 8, and 7 was tried",
        ),
        (
            {5: (0, 2), 6: (1, 2), 7: (2, 2)},
            "count: solved with 6 units in 1 of 2 seeds, with 7 in 2 of 2; with 5 in 0 of 2: "
            "between 6 and 7 (all tried)",
        ),
        (
            {2: (0, 1), 8: (1, 1)},
            "count: solved with 8 units in 1 of 1 seed; with 2 in 0 of 1: between 3 and 8 (3 to 7 not tried); "
            "one seed of each size",
        ),
        ({1: (1, 1)}, "count: solved with 1 unit in 1 of 1 seed; no other size tried; one seed"),
        ({32: (1, 2)}, "count: solved with 32 units in 1 of 2 seeds; no other size tried"),
        ({1: (2, 2), 2: (2, 2)}, "count: solved with 1 and 2 units in 2 of 2 seeds each"),
    ],
)  # fmt: skip
def test_what_each_size_did_is_said(outcomes, sentence):
    assert sentence_of(outcomes) == sentence


def numbers_in(words):
    """The whole numbers that a list such as "2, 5 to 7 and 9" stands for."""
    found = []
    for part in re.split(r", | and ", words):
        ends = [int(end) for end in part.split(" to ")]
        found += range(ends[0], ends[-1] + 1)
    return found


def told(sentence):
    """What a sentence says of each size, as {size: (reached, seeds)}."""
    parts = re.findall(r"with ([\d, ]+(?:(?:to|and) [\d, ]+)*?)(?: units?)? in (\d+) of (\d+)", sentence)
    return {size: (int(reached), int(n)) for sizes, reached, n in parts for size in numbers_in(sizes)}


SIZES = st.integers(1, 40) | st.integers(41, 4096)
SEEN = st.integers(1, 6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
OUTCOMES = st.dictionaries(SIZES, SEEN, min_size=1, max_size=9)


@given(OUTCOMES)
def test_a_sentence_says_the_outcomes_and_nothing_of_sizes_that_were_not_tried(outcomes):
    sentence = sentence_of(outcomes)
    assert told(sentence) == outcomes
    assert "need" not in sentence
    untried = re.search(r"[(; ](fewer than (\d+)(?:, | and )?)?([\d, and to]*) not tried", sentence)
    if untried and untried[2]:
        assert int(untried[2]) == min(outcomes) > 1
    between = re.search(r": (?:between (\d+) and (\d+)|(\d+) or fewer|(\d+), and (\d+) was tried)", sentence)
    whole = {size for size, (reached, n) in outcomes.items() if reached == n}
    none = {size for size, (reached, _) in outcomes.items() if reached == 0}
    if between:
        low = int(between[1] or between[4] or 1)
        high = int(between[2] or between[3] or between[4])
        assert high in whole and {size for size in outcomes if size >= high} <= whole
        assert {size for size in outcomes if size < low} <= none
        assert low - 1 in none or low == 1
        gap = set(range(low, high)) - set(outcomes)
        said = set(numbers_in(untried[3])) if untried and untried[3] else set()
        said |= set(range(1, int(untried[2]))) if untried and untried[2] else set()
        assert said == gap
    else:
        last = max(outcomes)
        if last not in whole and whole | (set(outcomes) - none) and len(outcomes) > 1:
            assert f"not in every seed with {last}, the most units tried" in sentence
        assert not (none and last in whole)
    shares = [reached / n for _, (reached, n) in sorted(outcomes.items())]
    falls = any(later < earlier for earlier, later in pairwise(shares))
    assert ("more units did not always do better" in sentence) == falls
    assert ("one seed" in sentence) == (max(n for _, n in outcomes.values()) == 1)


@pytest.mark.parametrize(("best", "said"), [(0.98999, "0.989"), (0.5, "0.500"), (-0.2, "-0.200"), (0.0, "0.000")])
def test_a_near_miss_does_not_look_as_if_it_reached_the_threshold(best, said):
    assert f"the best score is {said}, with 4 units" in sentence_of({4: (0, 2)}, best=best)


def test_the_table_counts_networks_at_the_tasks_own_thresholds(tmp_path):
    scores = {(2, 0): 0.3, (2, 1): 0.98999, (8, 0): 0.99, (8, 1): 0.5, (8, 2): 1.0}
    table = size_outcomes(sweep(tmp_path, scores))
    assert list(table.columns) == list(OUTCOME_COLUMNS)
    own = table[table["target"] == "parity"]
    assert own[["units", "n_seeds", "reached", "best"]].values.tolist() == [[2, 2, 0, 0.98999], [8, 3, 2, 1.0]]
    assert set(table["criterion"]) == {"solved"} and set(table["threshold"]) == {0.99}
    # A network has solved all at once where each is; here the others score 0.995.
    every = table[table["target"] == ""]
    assert every[["units", "n_seeds", "reached", "best"]].values.tolist() == [[2, 2, 0, 0.98999], [8, 3, 2, 0.995]]
    assert outcome_words(table)["tracking"][0] == "Counts as solved: a score of at least 0.99."


def test_two_networks_that_solved_a_part_each_have_not_solved_the_whole(tmp_path):
    """One seed solves latch, the other parity: each target in 1 of 2, all at once in none."""
    runs = [made_run(tmp_path, 2, 0, {"latch": 0.1}), made_run(tmp_path, 2, 1, {"parity": 0.2})]
    table = size_outcomes(runs).set_index("target")
    assert table.loc[["latch", "parity", "count", ""], "reached"].tolist() == [1, 1, 2, 0]
    assert table.loc["", "best"] == 0.2


def test_the_order_of_the_runs_changes_nothing(tmp_path):
    scores = {(units, seed): (units * 7 + seed * 3) % 10 / 9 for units in (2, 3, 8, 32) for seed in range(3)}
    runs = [*sweep(tmp_path, scores, lr=0.01), *sweep(tmp_path, scores, lr=0.1)]
    expected = size_outcomes(runs)
    for k in range(5):
        shuffled = random.Random(k).sample(runs, len(runs))
        pd.testing.assert_frame_equal(size_outcomes(shuffled), expected)


def test_a_copy_of_a_run_is_no_second_seed(tmp_path):
    runs = sweep(tmp_path / "a", {(2, 0): 0.1, (8, 0): 1.0}) + sweep(tmp_path / "b", {(2, 0): 0.1, (8, 0): 1.0})
    assert size_outcomes(runs)["n_seeds"].unique().tolist() == [1]
    again = made_run(tmp_path / "c", 2, 0, {"parity": 1.0})
    again.info["finished"] = "2021-01-01T00:00:00"
    for order in ([*runs, again], [again, *runs]):
        table = size_outcomes(order).set_index(["target", "units"])
        assert table.loc[("parity", 2), "n_seeds"] == 1 and table.loc[("parity", 2), "best"] == 1.0


def test_what_was_measured_of_a_network_makes_no_other_training(tmp_path):
    """Size 4 was tried, though its units were probed otherwise; a size that was probed twice has one seed."""
    runs = sweep(tmp_path, {(2, 0): 0.1, (4, 0): 0.2, (4, 1): 0.3, (5, 0): 1.0})
    again = made_run(tmp_path, 4, 0, {"parity": 0.2}, again=True)
    again.config.pop("again")
    for run in (runs[1], again):
        run.config["probe"] |= {"permutations": 200 if run is again else 300}
        run.config["ablate"] |= {"mode": "zero"}
    words = outcome_words(size_outcomes([*runs, again]))
    (sentence,) = (line for line in words["tracking"] if line.startswith("parity"))
    assert "with 2 in 0 of 1, with 4 in 0 of 2: 5, and 4 was tried" in sentence


def test_where_the_best_score_is_not_known_learned_is_what_counts(tmp_path):
    """Of a file's data nobody knows how well they can be predicted; of a task that is not here, from when on it is."""
    for task, target in ((complete_task({"name": "table"}), "y_balance"), ({"name": "gone"}, "parity")):
        runs = sweep(tmp_path, {(4, 0): 0.4, (8, 0): 0.6}, task=task)
        for run in runs:
            run.info["scores"] = {target: run.info["scores"]["parity"]}
        table = size_outcomes(runs)
        assert table["reached"].tolist() == [0, 1] and set(table["criterion"]) == {"learned"}
        first, sentence = outcome_words(table)[table["task"].iloc[0]]
        assert first == "Counts as learned: a score of at least 0.5."
        assert sentence.startswith(f"{target}: learned with 8 units in 1 of 1 seed; with 4 in 0 of 1")


def test_thresholds_that_differ_and_layers_are_said():
    about = ("t", 2), ("solved",), (8, 2, 2, 1.0)
    rows = [(*about[0], name, *about[1], least, *about[2]) for name, least in (("a", 0.9), ("b", 0.99))]
    rows += [(*about[0], "", *about[1], float("nan"), *about[2])]
    words = outcome_words(pd.DataFrame(rows, columns=list(OUTCOME_COLUMNS)))["t"]
    assert words[0] == (
        "Counts as solved: a score of at least 0.9 for a and 0.99 for b; sizes are those of each of 2 layers."
    )
    assert words[3].startswith("all targets at once: solved with 8 units in 2 of 2 seeds")


def test_a_run_of_the_first_form_has_its_words():
    first, *sentences = outcome_words(size_outcomes([load_run(OLD)]))["flipflop"]
    assert first == "Counts as solved: a score of at least 0.99."
    assert sentences[1] == (
        "bit0: solved with 2 units in 0 of 1 seed; the best score is 0.199, with 2 units; no other size tried; one seed"
    )


def test_hundreds_of_sizes_are_told_in_a_few_words():
    draws = random.Random(1)
    outcomes = {size: (draws.randint(0, 5) if size > 20 else 0, 5) for size in range(1, 600, 2)} | {601: (5, 5)}
    sentence = sentence_of(outcomes)
    hits = [size for size, (reached, _) in outcomes.items() if reached]
    assert len(sentence) < 500
    every = sum(reached == 5 for reached, _ in outcomes.values())
    assert f"{len(hits)} sizes from {min(hits)} to {max(hits)} units in some seed, {every} of them in every seed" in (
        sentence
    )
    assert re.search(r"; with 1, 3|with 1 to|with \d+ sizes from 1 to|1, 3, 5", sentence)


@pytest.mark.parametrize(("score", "told"), [(0.9896, "0.989"), (0.98999, "0.989"), (0.985, "0.985"), (-0.2, "-0.200")])
def test_what_came_nearest_is_not_rounded_up_to_what_counts_as_solved(score, told):
    one = Trial("run", 4, 0, {"parity": score}, False, 1.0, False)
    assert nearest_words([one], {"parity": 0.99}) == (
        f"the nearest was 4 units with {told} of parity, of which 0.99 counts as solved"
    )
