"""The page of the benchmark: its numbers are those of the table, and each method's worst network is shown."""

import re

import numpy as np
import pandas as pd
import pytest

from lstm_probe.report.truth_page import circuit_rows, hardness_table, write_truth
from lstm_probe.truth import METHODS
from lstm_probe.truth.trying import ANSWERS, try_methods
from tests.truth.made import known, one


@pytest.fixture(scope="module")
def tried():
    methods = {name: METHODS[name] for name in ("correlation", "clamp, zero", "weight norm")}
    return try_methods(methods, known("copies", "look-alike"))


@pytest.fixture(scope="module")
def page(tried, tmp_path_factory):
    return write_truth(tried, tmp_path_factory.mktemp("page"), whole=True, held_out=True)


def test_the_page_has_every_method_knob_and_number(tried, page):
    text = page.read_text()
    for name in ("correlation", "clamp, zero (ours)", "weight norm"):
        assert len(re.findall(rf">{re.escape(name)}<", text)) >= 1
    lowest = tried.table[tried.table.method == "weight norm"].groupby("knob")["auroc"].mean()
    for value in lowest:
        assert f'data-value="{value}"' in text
    assert text.count("<img ") == 2 and all(len(alt) > 40 for alt in re.findall(r'alt="([^"]+)"', text))
    assert "—" not in text and "http" not in re.sub(r'"http://www.w3.org[^"]*"|http-equiv', "", text)
    assert (page.parent / "truth.parquet").is_file() and (page.parent / "figures" / "look_alike.svg").is_file()


def test_what_is_drawn_are_means_over_networks_from_easy_to_hard(tried):
    drawn = hardness_table(tried.table, "copies")
    assert list(dict.fromkeys(drawn.level)) == ["halves", "or", "majority"]
    assert set(drawn.question) == {"Which unit holds which signal", "Which target needs which unit"}
    assert dict(zip(drawn.method, drawn.ours)) == {"correlation": False, "clamp, zero": True, "weight norm": False}
    for row in drawn.itertuples():
        own = tried.table[(tried.table.method == row.method) & (tried.table.level == row.level)]
        assert row.score == pytest.approx(own.auroc.mean())


def answers(*rows, verdicts=None):
    """Rows of a unit, an answer and a score."""
    made = pd.DataFrame(rows, columns=["unit", "answer", "score"]).reindex(columns=list(ANSWERS))
    made = made.assign(name="count", planted="", label="alone", answer=[answer for _, answer, _ in rows])
    return made.assign(verdict=pd.array(verdicts or [None] * len(rows), dtype="boolean"))


def test_an_answer_is_wrong_where_the_verdict_is():
    rows = circuit_rows(answers((0, True, 1.0), (1, False, 0.9), (2, True, 0.1), verdicts=[True, True, None]))
    assert [(row["unit"], row["verdict"], row["wrong"]) for row in rows] == [
        (0, "yes", ""), (1, "yes", "wrong"), (2, "–", "wrong")]  # fmt: skip


def test_without_verdicts_it_is_wrong_where_a_no_stands_above_a_yes():
    rows = circuit_rows(answers((0, True, 1.0), (1, False, 0.5), (2, True, 0.5), (3, False, 0.1), (4, True, np.nan)))
    assert [(row["unit"], row["verdict"], bool(row["wrong"])) for row in rows] == [
        (0, "1 of 5", False), (1, "2 of 5", True), (2, "2 of 5", True), (3, "4 of 5", True),
        (4, "5 of 5", True)]  # fmt: skip


def test_of_many_answers_those_on_the_name_with_most_wrong_ones_are_shown():
    good = answers(*((k, k == 0, 1.0 - k / 10) for k in range(6)))
    bad = answers(*((k, k == 5, 1.0 - k / 10) for k in range(6))).assign(name="latch")
    assert {row["name"] for row in circuit_rows(pd.concat([good, bad]), most=6)} == {"latch"}
    assert {row["name"] for row in circuit_rows(pd.concat([good, bad]))} == {"count", "latch"}


def test_a_unit_of_several_layers_stands_with_its_layer_and_what_cannot_be_scored_is_said(tmp_path):
    two = answers((0, True, 1.0), (0, False, 0.5)).assign(layer=[1, 0])
    assert [row["unit"] for row in circuit_rows(two)] == ["1·0", "0·0"]
    deep = [one("layers")]
    tried = try_methods({name: METHODS[name] for name in ("weight norm", "clamp, zero")}, deep)
    text = write_truth(tried, tmp_path, whole=True, held_out=True).read_text()
    assert text.count(">not for layers<") == 1 and "Not for layers: weight norm." in text
