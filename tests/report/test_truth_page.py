"""The page of the benchmark: its numbers are those of the table, and each method's worst network is shown."""

import re

import numpy as np
import pandas as pd
import pytest

from lstm_probe.report.truth_page import circuit_rows, hardness_table, write_truth
from lstm_probe.truth import METHODS
from lstm_probe.truth.evaluation import judge
from lstm_probe.truth.trying import ANSWERS, Tried, try_methods
from tests.truth.made import known, one, table
from tests.truth.made import row as tried_row


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


def test_an_answer_is_wrong_where_the_verdict_is_or_the_rank():
    rows = circuit_rows(answers((0, True, 1.0), (1, False, 0.9), (2, True, 0.1), verdicts=[True, True, None]))
    assert [(row["unit"], row["verdict"], row["rank"], row["wrong"]) for row in rows] == [
        (0, "yes", "1 of 3", ""), (1, "yes", "2 of 3", "rank, verdict"),
        (2, "–", "3 of 3", "rank, verdict")]  # fmt: skip
    upside_down = circuit_rows(answers((0, True, 0.1), (1, False, 0.9), verdicts=[True, False]))
    assert [row["wrong"] for row in upside_down] == ["rank", "rank"]  # what it says is right


def test_a_rank_is_wrong_where_a_no_stands_above_a_yes():
    rows = circuit_rows(answers((0, True, 1.0), (1, False, 0.5), (2, True, 0.5), (3, False, 0.1), (4, True, np.nan)),
                        judged=False)  # fmt: skip
    assert [(row["unit"], row["rank"], row["wrong"]) for row in rows] == [
        (0, "1 of 5", ""), (1, "2 of 5", "rank"), (2, "2 of 5", "rank"), (3, "4 of 5", "rank"),
        (4, "4 of 5", "rank")]  # fmt: skip


@pytest.mark.parametrize("seed", range(30))
def test_ranks_are_wrong_where_the_auroc_is_not_1(seed):
    """Over all names together, and without what is dust beside the largest score."""
    rng = np.random.default_rng(seed)
    known_so, scores = rng.random(8) < 0.5, rng.integers(1, 4, 8) + 1e-6 * rng.random(8)
    scores = np.where(known_so, scores + seed % 3, scores)
    made = answers(*zip(range(8), known_so.tolist(), scores)).assign(name=["count", "latch"] * 4)
    auroc = judge(made)["auroc"]
    wrong = [row["wrong"] for row in circuit_rows(made, judged=False)]
    assert ("rank" in wrong) == (auroc < 1)


def test_the_worst_network_is_told_with_what_it_is_the_worst_by(tried, tmp_path):
    """Where every verdict is right and the scores are not, both are said."""
    table = tried.table[(tried.table.method == "clamp, zero")]
    worst = table.sort_values("auroc").iloc[0]
    assert worst.auroc < 0.8 and worst.knob == "copies"
    own = tried.answers[(tried.answers.method == "clamp, zero") & (tried.answers.level == worst.level)]
    yes, no = (own.score[own.answer == told].round(9) for told in (True, False))
    wrong = sum(score <= no.max() for score in yes) + sum(score >= yes.min() for score in no)
    said = int((own.verdict.fillna(False).astype(bool) != own.answer).sum())
    text = write_truth(tried, tmp_path, whole=True, held_out=True).read_text()
    counts = f"{wrong} of 12 answers ranked wrong, {said} of 12 answers said wrong"
    assert re.findall(r"clamp, zero on one network, (copies: .*?)<", text) == [
        f"copies: {worst.level}, asked which target needs which unit: AUROC {worst.auroc:.2f}, {counts}"
    ]


def test_all_wrong_answers_of_a_network_are_counted_where_a_part_is_shown(tried, tmp_path):
    """Of three signals of 12 units one is shown, and 36 are counted."""
    own = tried.table[(tried.table.method == "correlation") & (tried.table.question == "holds")]
    every = {name: answers(*((k, k < yes, 1.0 - k / 50) for k in range(12)), verdicts=[True] * 12)
             for name, yes in (("a", 11), ("b", 2), ("c", 7))}  # fmt: skip
    claims = pd.concat([one.assign(name=name) for name, one in every.items()], ignore_index=True)
    about = {key: own.iloc[0][key] for key in ("method", "question", "knob", "level", "seed")}
    one_network = own.iloc[:1].assign(claims=36.0, false_claims=16.0, auroc=np.nan)
    some = Tried(one_network, claims.assign(**about))
    text = write_truth(some, tmp_path, whole=True, held_out=True).read_text()
    assert re.findall(r"correlation on one network, .*?: (16 of .*?)<", text) == [
        "16 of 36 answers said wrong; shown are those on b"
    ]


def test_what_was_not_wired_is_not_said_to_be(tmp_path):
    some = Tried(table(tried_row(knob="trained", level="a"), tried_row(knob="none")), answers().assign(method=""))
    text = write_truth(some, tmp_path, whole=True, held_out=True).read_text()
    assert text.count("were not wired") == 1 and text.count("in trained networks it is what swaps") == 1
    plain = Tried(table(tried_row(knob="none")), answers().assign(method=""))
    assert "trained" not in re.sub("<style.*?</style>|<script.*?</script>", "", write_truth(
        plain, tmp_path, whole=True, held_out=True).read_text(), flags=re.S)  # fmt: skip


def test_a_page_takes_the_place_of_another_whole_and_what_is_not_its_own_stays(tried, tmp_path, monkeypatch):
    first = write_truth(tried, tmp_path, whole=True, held_out=True)
    mine = first.parent / "mine.parquet"
    mine.write_bytes(b"mine")
    before = {path: path.read_bytes() for path in first.parent.rglob("*") if path.is_file()}

    def killed(*_args, **_more):
        raise KeyboardInterrupt

    some = Tried(tried.table[tried.table.knob == "copies"], tried.answers[tried.answers.knob == "copies"])
    with monkeypatch.context() as patch:  # after tables and figures are drawn, before there is a page
        patch.setattr("lstm_probe.report.truth_page.gist", killed)
        patch.setattr("lstm_probe.report.truth_page._matrices", killed)
        with pytest.raises(KeyboardInterrupt):
            write_truth(some, tmp_path, whole=True, held_out=True)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    write_truth(some, tmp_path, whole=True, held_out=True)
    assert [path.name for path in tmp_path.iterdir()] == ["truth"] and mine.read_bytes() == b"mine"
    assert {path.name for path in (first.parent / "figures").iterdir()} == {"copies.svg", "copies.png"}
    assert set(pd.read_parquet(first.parent / "truth.parquet")["knob"]) == {"copies"}


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
