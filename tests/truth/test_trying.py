"""Methods side by side, with all they said; by name, and of the user's own."""

import numpy as np
import pandas as pd
import pytest

from lstm_probe.core.errors import InputError
from lstm_probe.truth import COLUMNS, KNOBS, METHODS, cases, evaluate
from lstm_probe.truth.named import chosen, find_methods, typed
from lstm_probe.truth.trying import ANSWERS, ends, try_methods
from tests.truth.made import known, one

OWN = """
import pandas as pd
STATE = []
def constant(model, batch):
    STATE.append(1)
    rows = [("needed", unit, spec.name, 1.0, None) for unit in range(12) for spec in batch.target_specs]
    return pd.DataFrame(rows, columns=["question", "unit", "name", "score", "verdict"])
"""


@pytest.fixture(scope="module")
def tried():
    methods = {name: METHODS[name] for name in ("clamp, zero", "weight norm")}
    return try_methods(methods, known("copies", "none"))


def test_the_table_is_that_of_each_method_alone(tried):
    assert list(tried.table.columns) == list(COLUMNS)
    for name, own in tried.table.groupby("method"):
        alone = evaluate(name, cases=known("copies", "none"))
        pd.testing.assert_frame_equal(own.drop(columns="seconds").reset_index(drop=True), alone.drop(columns="seconds"))


def test_the_answers_give_the_table_by_plain_counting(tried):
    """AUROC as the share of pairs in the right order, ties half; precision and recall from verdicts."""
    assert list(tried.answers.columns) == list(ANSWERS)
    for row in tried.table.itertuples():
        keys = ["method", "question", "knob", "level", "seed"]
        own = tried.answers[(tried.answers[keys] == [getattr(row, key) for key in keys]).all(axis=1)]
        dust = 1e-3 * own.score.abs().max() or 1.0
        yes, no = (np.round(own.score[own.answer == told].to_numpy() / dust) for told in (True, False))
        order = np.mean([(a > b) + 0.5 * (a == b) for a in yes for b in no])
        assert row.auroc == pytest.approx(order)
        assert (row.positives, row.negatives) == (len(yes), len(no))
        if row.method == "clamp, zero":
            said = own.verdict.fillna(False).astype(bool)
            np.testing.assert_equal([row.claims, row.false_claims], [said.sum(), (said & ~own.answer).sum()])
            assert row.recall == (said & own.answer).sum() / own.answer.sum()
        else:
            assert own.verdict.isna().all()


def test_what_was_planted_stands_beside_the_unit(tried):
    case = one("copies")
    own = tried.answers[(tried.answers.seed == case.seed) & (tried.answers.method == "weight norm")]
    planted = dict(zip(case.net.held.unit, case.net.held.name))
    assert dict(zip(own.unit, own.planted)) == {unit: planted.get(unit, "") for unit in own.unit}


def test_nothing_tried_is_an_empty_table():
    empty = try_methods({}, cases(knobs=["none"], seeds=1))
    assert empty.table.empty and list(empty.answers.columns) == list(ANSWERS)


def test_the_ends_are_the_easiest_and_the_hardest_level_of_each_knob():
    found = {}
    for case in ends(cases(seeds=1)):
        found.setdefault(case.knob, []).append(case.level)
    assert found == {knob: list(dict.fromkeys([levels[0].name, levels[-1].name])) for knob, levels in KNOBS.items()}


def test_what_is_typed_names_one_method_and_one_knob():
    for names in (METHODS, KNOBS):
        assert len({typed(name) for name in names}) == len(names)
        assert all(typed(name).isidentifier() for name in names)
        assert chosen("key", [typed(name) for name in names], names) == list(names)
        assert chosen("key", names, names) == list(names)
    with pytest.raises(InputError) as caught:
        chosen("knobs", ["copis", "x", "copies"], KNOBS)
    assert len(caught.value.problems) == 2 and "Did you mean 'copies'?" in caught.value.problems[0]


def test_a_method_of_one_s_own_is_read_from_a_file_or_a_module(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    for path in ("mine.py", "sub/other.py"):
        (tmp_path / path).write_text(OWN)
    found = find_methods("methods", ["mine:constant", "sub/other.py:constant", "clamp_zero"])
    assert list(found) == ["mine:constant", "sub/other.py:constant", "clamp, zero"]
    table = evaluate(found["mine:constant"], cases=known("copies"))
    assert set(table.auroc) == {0.5} and table.claims.isna().all()
    assert find_methods("method", ["math:sqrt"])["math:sqrt"](4) == 2


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        (OWN, "mine:nothing", "method=mine:nothing: there is no function nothing in mine. It has constant."),
        (OWN, "mine:STATE", "method=mine:STATE: there is no function STATE in mine. It has constant."),
        ("x = 1 +", "mine:f", "method=mine:f: mine.py: line 1: invalid syntax."),
        ("\nx = 1 / 0", "mine:f", "method=mine:f: mine.py: line 2: ZeroDivisionError: division by zero"),
        ("", "mine:f", "method=mine:f: there is no function f in mine. It has none."),
        ("", "notthere:f", "method=notthere:f: notthere is neither a file here nor an installed module"),
        ("", ":f", "method=:f:  is neither a file"),
    ],
)
def test_a_method_that_cannot_be_had_is_told_why(text, place, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(text)
    with pytest.raises(InputError) as caught:
        find_methods("method", [place])
    assert str(caught.value).startswith(said)
