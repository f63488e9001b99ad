"""The benchmark of methods: its answers against brute force, its scores against plain counting."""

import copy
import math

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import roc_auc_score

import lstm_probe as lp
from lstm_probe.core.errors import InputError
from lstm_probe.truth import COLUMNS, KNOBS, METHODS, cases, evaluate
from lstm_probe.truth.checked import costs
from lstm_probe.truth.evaluation import judge, rounded
from lstm_probe.truth.gradients import memory_gradients
from lstm_probe.truth.summary import summarize
from tests.truth.made import known, one


def names_of(case):
    return dict(zip(case.net.held.unit, case.net.held.name))


def test_every_network_does_what_its_targets_say_but_for_soft_gates():
    for case in known(*KNOBS):
        scores = case.batch.scores(case.net.model(case.batch.inputs).detach())
        soft = {"20": 0.99, "12": 0.9, "8": 0.5, "0.1": 0.99, "0.3": 0.95, "0.6": 0.7}
        low = soft.get(case.level if case.knob in ("slope", "noise") else "", 0.9999)
        low = 0.99 if case.knob == "trained" else low
        assert min(scores.values()) > low, (case.knob, case.level, scores)


@pytest.mark.parametrize(
    ("knob", "level", "own", "needed"),
    [
        ("copies", "majority", "latch", {"latch", "latch.copy", "latch.copy2", "latch.reader"}),
        ("copies", "halves", "latch", {"latch", "latch.copy"}),
        ("decoys", "shut", "latch", {"latch"}),
        ("decoys", "cancel", "latch", {"latch", "latch.copy", "latch.copy2"}),
        ("depth", "2", "latch", {"latch", "latch.reader", "latch.reader2"}),
        ("xor", None, "xor", {"a", "b", "a.reader", "b.reader"}),
        ("drift", None, "drift", {"drift.a", "drift.b"}),
    ],
)
def test_what_is_needed_is_what_was_wired(knob, level, own, needed):
    case = one(knob, level)
    table = case.needed[case.needed.name == own]
    names = names_of(case)
    assert {names[unit] for unit in table.unit[table.answer == True]} == needed  # noqa: E712
    assert set(table.label) <= {"alone", "redundant", "together", "cancelled", "unused", "unclear"}


def test_of_what_costs_only_until_it_is_brought_back_to_scale_nothing_is_asked():
    """Without its turn drift's output is a multiple of itself most of the time: 1.29 lost as it is, 0.0498 left."""
    case = one("drift", None)
    table = case.needed[case.needed.name == "drift"].set_index(case.needed[case.needed.name == "drift"].unit.map(
        names_of(case)))  # fmt: skip
    turn = table.loc["drift.turn"]
    assert turn.answer is None and (turn.label, turn.refit_label) == ("alone", "unclear")


def test_what_is_held_is_what_c_is():
    """Where the answer is yes, c determines the signal; where it is no, it says at most what a correlation does."""
    for case in known("none", "copies", "decoys", "mixture", "xor", "look-alike", "nothing there"):
        c = lp.record(case.net.model, case.batch.inputs).c.flatten(0, 1).double().numpy()
        shared = case.signals[(case.signals.share > 0) & (case.signals.share < 1)]
        mixed = set(zip(shared.unit, shared.signal))
        for unit, name, answer in case.holds[["unit", "name", "answer"]].itertuples(index=False):
            values = case.batch.signals[name].values.flatten().double().numpy()
            r = np.corrcoef(c[:, unit], values)[0, 1] if c[:, unit].std() > 0 else 0.0
            if answer and (unit, name) not in mixed:
                assert abs(r) > 0.9999
            elif answer is False:
                assert abs(r) < 0.98, (case.knob, case.level, unit, name)
        for name, own in shared.groupby("signal"):
            x = np.c_[c[:, own.unit], np.ones(len(c))]
            values = case.batch.signals[name].values.flatten().double().numpy()
            left = values - x @ np.linalg.lstsq(x, values, rcond=None)[0]
            assert left.var() < 1e-4 * values.var()


def test_of_what_nobody_holds_the_answer_is_no_for_everybody():
    for knob, names in (("nothing there", {"latch", "parity"}), ("look-alike", {"alike"})):
        case = one(knob)
        table = case.holds[case.holds.name.isin(names)]
        assert set(table.answer) == {False} and len(table) == 12 * len(names)


def test_networks_follow_from_seeds_and_those_held_out_are_others():
    def state(case):
        return torch.cat([values.flatten() for values in case.net.model.state_dict().values()])

    again, other, held = (list(cases(knobs=["none", "copies"], seeds=2, **own)) for own in ({}, {}, {"held_out": True}))
    assert [len(own) for own in (again, held)] == [8, 8]
    for a, b, c in zip(again, other, held):
        assert torch.equal(state(a), state(b)) and torch.equal(a.batch.inputs, b.batch.inputs)
        assert not torch.equal(state(a), state(c)) and not torch.equal(a.batch.inputs, c.batch.inputs)
    assert len({case.seed for case in again}) == 8


def oracle(question, case, noise=0.0, seed=0):
    """A method that knows the answers of one case, but for some noise."""
    table = getattr(case, question)
    rng = np.random.default_rng(seed)
    right = table.answer.map({True: 1.0, False: 0.0, None: 0.5}).astype(float) + noise * rng.standard_normal(len(table))
    return pd.DataFrame({"question": question, "unit": table.unit, "name": table.name, "score": right,
                         "verdict": (right > 0.5).astype(object)})  # fmt: skip


@pytest.mark.parametrize("question", ["holds", "needed", "carries", "reads"])
def test_who_knows_the_answers_has_them_all_right(question):
    for case in known("copies", "decoys"):
        table = evaluate(lambda model, batch, case=case: oracle(question, case), cases=[case], name="oracle")
        (row,) = table.to_dict("records")
        assert list(table.columns) == list(COLUMNS) and row["method"] == "oracle" and row["question"] == question
        answers = getattr(case, question)
        assert row["false_claims"] == 0 and (
            row["auroc"] == row["precision"] == row["recall"] == 1 or not row["positives"]
        )
        own = answers[answers.answer.notna() & (answers.name == case.own)]
        assert (row["positives"], row["negatives"]) == (int(own.answer.sum()), int((own.answer == False).sum()))  # noqa: E712


def test_scores_are_those_of_plain_counting():
    case = one("copies", "majority")
    table = oracle("needed", case, noise=0.8, seed=3)
    (row,) = evaluate(lambda model, batch: table, cases=[case]).to_dict("records")
    joined = table.merge(case.needed, on=["unit", "name"]).query("name == 'latch' and answer.notna()")
    yes, no = joined.score[joined.answer == True], joined.score[joined.answer == False]  # noqa: E712
    wins = np.mean([(a > b) + 0.5 * (a == b) for a in yes for b in no])
    assert row["auroc"] == pytest.approx(wins, abs=0.02)
    said = joined.verdict.astype(bool)
    right = said & (joined.answer == True)  # noqa: E712
    assert row["precision"] == right.sum() / said.sum() and row["recall"] == right.sum() / len(yes)
    assert row["claims"] == said.sum() and row["false_claims"] == (said & ~right).sum()


def test_who_says_neither_to_all_has_found_nothing_there():
    """Such a network counts among those on which a method that makes claims elsewhere finds what is there."""
    first, second = known("none", "copies")[:2]

    def method(model, batch):
        case = first if batch is first.batch else second
        asked = case.needed[["unit", "name"]].assign(question="needed", score=1.0)
        return asked.assign(verdict=pd.Series([True if case is first else None] * len(asked), dtype=object))

    table = evaluate(method, cases=[first, second])
    asked = [case.needed[case.needed["name"].isin([case.own or name for name in case.needed["name"]])]
             for case in (first, second)]  # fmt: skip
    there = [sum(answer is True for answer in own["answer"]) for own in asked]
    assert table.positives.tolist() == there and min(there) > 0
    assert table.claims.tolist() == [there[0] + table.negatives[0], 0]
    assert table.recall.tolist() == [1, 0] and table.false_claims.tolist() == [table.negatives[0], 0]
    assert summarize(table, by=["method"]).recall.tolist() == [there[0] / sum(there)]
    alone = evaluate(method, cases=[second])  # nobody knows then that it makes claims
    assert alone.claims.isna().all() and alone.recall.isna().all()


def test_clamping_and_swapping_are_two_truths():
    """A unit that never changes is needed to no purpose of a swap; a decoy holds what is not read from it."""
    case = one("decoys", "constants")
    swapped = case.net.truth(seed=case.seed).labels.set_index(["unit", "target"]).carries
    assert case.carries.set_index(["unit", "name"]).answer.to_dict() == swapped.to_dict()
    case = one("decoys", "decoy")
    at = {name: unit for unit, name in names_of(case).items()}
    read = case.reads.set_index(["unit", "name"])
    assert read.label[at["latch"], "latch"] == "carries"
    assert read.label[at["latch.decoy"], "latch"] == "unread decoy"
    assert read.answer[at["latch"], "latch"] is True and read.answer[at["latch.decoy"], "latch"] is False
    assert read.answer[at["latch"], "count"] is False


def claimed(case, units, **columns):
    """A method that claims some units for the latch, and none for other targets."""
    rows = [{"question": "needed", "unit": unit, "name": spec.name, "score": float(unit in units),
             "verdict": spec.name == "latch" and unit in units} for unit in range(12)
            for spec in case.batch.target_specs]  # fmt: skip
    return pd.DataFrame(rows).astype({"verdict": object}).assign(**columns)


def test_outputs_follow_what_is_claimed_where_it_is_so():
    case = one("copies", "halves")
    at = {name: unit for unit, name in names_of(case).items()}
    both, other = [at["latch"], at["latch.copy"]], [at["count"]]
    for units, least, most in ((both, 1, 1), ([*both, *other], 1, 1), (other, 0, 0), ([], 0, 0)):
        (row,) = evaluate(lambda model, batch, units=units: claimed(case, units), cases=[case]).to_dict("records")
        assert least <= row["interchange"] <= most, units


def test_intervals_are_held_against_what_many_sequences_cost():
    case = one("none")
    cost = costs(case).set_index(["unit", "name"]).cost
    many = case.net.sample(1024, 40, case.seed + 1)
    lost = lp.ablate_units(case.net.model, many, bootstrap=2, together=False).set_index(["unit", "target"]).score_drop
    assert cost.to_dict() == pytest.approx(lost.to_dict(), abs=1e-4)
    table = claimed(case, [])
    true = cost.reindex(pd.MultiIndex.from_frame(table[["unit", "name"]])).to_numpy()
    assert (true > 0.1).sum() == 3
    for low, covered in ((0.1, 1), (-0.05, 0)):
        made = table.assign(ci_low=true - low, ci_high=true + 0.1)
        (row,) = evaluate(lambda model, batch, made=made: made, cases=[case]).to_dict("records")
        assert (row["intervals"], row["covered"]) == (3, covered)


def test_words_are_counted_beside_what_is_true():
    case = one("copies", "or")
    table = claimed(case, [0, 1], word=["odd" if k % 2 else "even" for k in range(36)])
    found = lp.truth.words(lambda model, batch: table, cases=[case], name="mine")
    joined = table.merge(case.needed, on=["unit", "name"])
    assert found.pairs.sum() == 36 and set(found.method) == {"mine"} and set(found.question) == {"needed"}
    for row in found.to_dict("records"):
        assert row["pairs"] == sum((a, b) == (row["word"], row["label"]) for a, b in zip(joined.word, joined.label))
    assert lp.truth.words("weight norm", cases=[case]).empty


def test_dust_decides_nothing():
    scores = np.array([1.0, 2e-7, 1e-9, 0.0, np.nan])
    assert rounded(scores).tolist() == [1, 0, 0, 0, 0]
    truth = np.array([True, True, False, False, False])
    found = judge(pd.DataFrame({"answer": truth, "score": scores}))
    assert found["auroc"] == roc_auc_score(truth, [1, 0, 0, 0, 0]) < roc_auc_score(truth, np.nan_to_num(scores))
    assert math.isnan(found["claims"]) and math.isnan(judge(pd.DataFrame({"answer": [True], "score": [1.0]}))["auroc"])


def test_gradients_are_those_of_differences():
    case = one("slope", "8")
    model, batch = copy.deepcopy(case.net.model).double(), case.batch[:3]
    batch = type(batch)(batch.inputs.double(), batch.targets, batch.target_specs, batch.lengths, batch.signals)
    c, gradients = memory_gradients(model, batch)
    torch.testing.assert_close(c, lp.record(model, batch.inputs).c)

    def total(output, moved=None):
        lstm, state, out = model.lstm, None, []
        for t, x in enumerate(batch.inputs.unbind(1)):
            h, state = lstm(x.unsqueeze(1), state)
            if moved and moved[1] == t:
                s, _, unit, by = moved
                own = lp.record(lstm, batch.inputs[:, : t + 1], variables=["o"]).o[:, -1]
                memory = state[1].clone()
                memory[0, s, unit] += by
                h = (own * memory[0].tanh()).unsqueeze(1)
                state = (h.transpose(0, 1).contiguous(), memory)
            out.append(model.readout(h[:, 0])[:, output])
        return torch.stack(out).sum()

    with torch.no_grad():
        for output, s, t, unit in [(0, 1, 5, 3), (1, 2, 0, 7), (2, 0, 20, 11), (0, 2, 30, names_at(case, "latch"))]:
            ahead, back = (total(output, (s, t, unit, by)) for by in (1e-5, -1e-5))
            expected = float(ahead - back) / 2e-5
            assert gradients[output, s, t, unit].item() == pytest.approx(expected, rel=1e-4, abs=1e-6)


def names_at(case, name):
    return {own: unit for unit, own in names_of(case).items()}[name]


FAST = ("correlation", "weight norm", "weight × spread", "gradient × activation", "sparse probe")


def test_what_breaks_which_method():
    """As was measured before: weights and gradients fail behind readers, clamping singles where there are copies."""
    table = pd.concat([evaluate(name, cases=known("none", "copies", "depth", "xor", "mixture")) for name in FAST])
    at = table.set_index(["method", "knob", "level"]).auroc
    for name in ("weight norm", "weight × spread", "gradient × activation"):
        assert at[name, "copies", "halves"] == 1 and at[name, "copies", "or"] < 0.7 > at[name, "copies", "majority"]
        assert at[name, "depth", "1"] < 0.8 > at[name, "xor", "xor"]
    assert at["correlation", "none", "none"] == 1 > at["sparse probe", "mixture", "8 units"]
    assert set(table.method) == set(FAST) and (table.seconds >= 0).all()


@pytest.mark.slow
def test_ours_make_nothing_up_where_nothing_is_there_and_find_what_is():
    table = evaluate("tracks", cases=cases(knobs=["nothing there", "none"], seeds=2, held_out=True))
    assert table.false_claims.sum() == 0 and (table[table.knob == "none"].recall == 1).all()
    table = evaluate("clamp, mean", cases=known("copies", held_out=True)).set_index("level")
    assert table.recall["halves"] == table.recall["or"] == 1 and (table.false_claims == 0).all()


def test_every_method_answers_for_every_unit_and_name():
    case = one("decoys", "shut")
    for name, method in METHODS.items():
        if name in FAST:
            given = method(case.net.model, case.batch)
            for question, own in given.groupby("question"):
                asked = getattr(case, question)
                assert set(zip(own.unit, own.name)) >= set(zip(asked.unit, asked.name)), (name, question)


@pytest.mark.parametrize(
    ("make", "part"),
    [
        (lambda: list(cases(knobs=["copie"])), "knobs: there is no copie. Did you mean 'copies'?"),
        (lambda: list(cases(seeds=0)), "seeds=0: must be a whole number from 1."),
        (lambda: evaluate("clamps"), "method=clamps: no such method"),
        (lambda: evaluate(lambda model, batch: None, cases=[one("none")]), "must return a table with the columns"),
        (lambda: wrong(question="hold"), "question=hold: must be one of holds, needed"),
        (lambda: wrong(name="nobody"), "needed: there is no nobody; there are count, latch, parity"),
        (lambda: wrong(twice=True), "several rows for one unit and name"),
    ],
)
def test_bad_input(make, part):
    with pytest.raises(InputError) as caught:
        make()
    assert part in "\n".join(caught.value.problems)


def wrong(question="needed", name="latch", twice=False):
    rows = [(question, 0, name, 1.0)] * (2 if twice else 1)
    table = pd.DataFrame(rows, columns=["question", "unit", "name", "score"])
    return evaluate(lambda model, batch: table, cases=[one("none")])


def test_each_knob_has_levels_from_easy_to_hard():
    assert all(KNOBS.values()) and len({(knob, level.name) for knob in KNOBS for level in KNOBS[knob]}) == 45
