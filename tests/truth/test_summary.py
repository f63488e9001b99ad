"""What the benchmark's table says in short: against scipy's intervals and hand-counted numbers, and in sentences."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lstm_probe.truth.evaluation import QUESTIONS
from lstm_probe.truth.summary import SUMMARY, TOLD, WORDS, faults, gist, lowest_of, summarize, told_apart
from tests.truth.made import row, table


def test_means_have_the_interval_of_student_s_t_from_five_networks_on():
    scores = [0.6, 0.7, 0.65, 0.8, 0.9]
    short = summarize(table(*(row(seed=k, auroc=one) for k, one in enumerate(scores)))).iloc[0]
    low, high = stats.t.interval(0.95, 4, np.mean(scores), stats.sem(scores))
    assert (short.auroc, short.auroc_low, short.auroc_high) == pytest.approx((np.mean(scores), low, high))
    fewer = summarize(table(*(row(seed=k, auroc=one) for k, one in enumerate(scores[:4])))).iloc[0]
    assert fewer.auroc == pytest.approx(0.6875) and np.isnan(fewer.auroc_low)
    assert list(summarize(table(row())).columns) == list(SUMMARY)


def test_precision_and_recall_are_of_all_networks_together():
    nothing = row(seed=2, there=0, right=0, wrong=4, auroc=np.nan)
    short = summarize(table(row(right=2, wrong=0), row(seed=1, right=0, wrong=2), nothing)).iloc[0]
    assert (short.precision, short.recall, short.false_claims) == (2 / 8, 2 / 4, 2.0)
    assert (short.networks, short.auroc, short.seconds) == (3, 1.0, 0.5)


def test_a_method_without_verdicts_has_neither():
    short = summarize(table(row())).iloc[0]
    assert short[["precision", "recall", "false_claims"]].isna().all()


@pytest.mark.parametrize(
    ("scores", "says"),
    [
        ({"a": [1.0, 0.5], "b": [1.0, 0.99]}, "told apart"),
        ({"a": [1.0, 0.9], "b": [1.0, 0.85]}, "easy"),
        ({"a": [1.0, 0.7], "b": [1.0, 0.9]}, "no method"),
        ({"a": [0.7, 1.0], "b": [0.9, 1.0]}, "no method"),
        ({"a": [1.0, 0.5]}, "one method"),
        ({"a": [np.nan, np.nan], "b": [np.nan, np.nan]}, "not ranked"),
    ],
)
def test_a_knob_tells_apart_only_where_one_does_well_and_another_fails_at_the_same_level(scores, says):
    rows = [row(name, level=str(k), auroc=one) for name, own in scores.items() for k, one in enumerate(own)]
    told = told_apart(table(*rows)).iloc[0]
    assert list(told.index) == list(TOLD) and told.says == says
    if says != "not ranked":
        flat = {(min(own), name) for name, own in scores.items()}
        assert told.lowest == min(flat)[0] and told.well == sum(low > 0.95 for low, _ in flat)
        assert told.lowest_method == min(flat)[1]


def test_who_fails_where_nothing_is_hard_does_not_make_a_knob_tell_apart():
    plain = [row("a", knob="none", level="none"), row("b", knob="none", level="none", auroc=0.2)]
    hard = [row("a"), row("b", auroc=0.2), row("c", auroc=0.9)]
    says = told_apart(table(*plain, *hard)).set_index("knob").says.to_dict()
    assert says == {"none": "told apart", "k": "easy"}
    says = told_apart(table(*plain, *hard, row("c", knob="none", level="none"), row("c", auroc=0.3))).says.tolist()
    assert says == ["told apart", "told apart"]
    says = told_apart(table(*hard)).says.tolist()
    assert says == ["told apart"]


def test_what_a_method_gets_wrong_is_said_by_knob_and_level():
    rows = [row(level="easy", right=2), row(level="hard", auroc=0.625, right=1, wrong=3),
            row(knob="none", level="none", there=0, auroc=np.nan, right=0, wrong=1),
            row("other", auroc=0.1)]  # fmt: skip
    assert faults(table(*rows), "m") == [
        "AUROC below 0.8: k (hard: 0.62).", "Less than 80 % found: k (hard: 0.50).",
        "Wrong claims for each network: k (hard: 3.0), none: 1.0.",
    ]  # fmt: skip
    assert faults(table(*rows), "other") == [
        "AUROC below 0.8: k (1: 0.10).", "It has no verdicts: it ranks, and says nowhere that nothing is there.",
    ]  # fmt: skip
    few = [row(right=2), row(seed=1, auroc=0.875, there=6, right=5, wrong=1), *(row(seed=k, right=2) for k in (2, 3))]
    assert faults(table(*few), "m") == [  # of 12 there 11 found
        "Little that these networks show: AUROC at least 0.97, 91 % or more found and at most 0.25 wrong claims for"
        " each network at each level."
    ]
    assert faults(table(row(right=2)), "m") == ["Nothing that these networks show: AUROC at least 1.00 at each level."]


def test_that_the_plain_network_was_left_out_is_said_where_knobs_tell_apart():
    hard = [row("a"), row("b", auroc=0.2)]
    said = "Whether methods fail where nothing is hard, too, was not tried: knobs=[none,...] tells."
    assert said in gist(table(*hard))
    assert said not in gist(table(*hard, row("a", knob="none", level="none"), row("b", knob="none", level="none")))
    assert said not in gist(table(row("a"), row("b", auroc=0.9)))


def test_a_method_that_answers_two_questions_is_told_for_which():
    rows = [row(auroc=0.5, right=2), row(question="holds", right=2)]
    assert faults(table(*rows), "m") == ["AUROC below 0.8, asked which target needs which unit: k (1: 0.50)."]


def test_the_gist_has_who_is_best_and_where_that_one_fails():
    rows = [row("a, b", level="1", right=2), row("a, b", level="2", auroc=0.7, right=2), row("c", level="1", auroc=0.8),
            row("c", level="2", auroc=0.6),
            row("a, b", "holds", "no", "no", there=0, auroc=np.nan, right=0)]  # fmt: skip
    told = gist(table(*rows))
    assert told[0] == "2 methods on 3 networks whose answers are known."
    hard = "hard for all (none stays above 0.95 where another fails): k."
    assert told[1] == f"Asked which target needs which unit: {hard}"
    assert told[2] == "Highest on average: “a, b” (0.85); below 0.8 at some level: “a, b”."
    assert told[3] == "Asked which unit holds which signal: nothing to rank with no."
    assert told[4] == "Networks without a wrong claim, of those where no unit is a right answer: “a, b” 1 of 1."


def test_the_worst_network_of_a_method_is_the_lowest_ranked_then_the_one_with_most_wrong_claims():
    rows = [row(seed=0, right=2), row(seed=1, auroc=0.9, right=2, wrong=1), row(seed=2, auroc=0.9, right=2, wrong=3),
            row("other", seed=3, auroc=0.1)]  # fmt: skip
    assert lowest_of(table(*rows), "m").seed == 2
    assert lowest_of(table(*rows[:1]), "m") is None
    nothing = row(there=0, auroc=np.nan, right=0, wrong=2, seed=5)
    assert lowest_of(table(rows[0], nothing), "m").seed == 5
    missed = row(right=1, seed=6)
    assert lowest_of(table(rows[0], missed), "m").seed == 6


def test_nothing_is_said_of_no_rows():
    assert summarize(pd.DataFrame(columns=table().columns)).empty


def test_every_question_has_its_words():
    assert set(WORDS) == set(QUESTIONS)


def test_coverage_counts_each_interval_once():
    rows = [row(intervals=10, covered=0.9), row(seed=1, intervals=30, covered=0.5), row(seed=2)]
    assert summarize(table(*rows)).iloc[0].covered == (9 + 15) / 40
