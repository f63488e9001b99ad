"""Runs of an older form are read as before, runs of a newer one are refused: one was made by the version before."""

import json
import math
import shutil
from pathlib import Path

import pandas as pd
import pytest

from lstm_probe.cli import main
from lstm_probe.core.columns import ABLATION_COLUMNS
from lstm_probe.core.errors import InputError
from lstm_probe.runs.analyses import ANALYSES
from lstm_probe.runs.findings import unit_cards
from lstm_probe.runs.opening import find_runs
from lstm_probe.runs.run import load_run
from lstm_probe.runs.schema import SCHEMA, read_table

OLD = Path(__file__).parents[1] / "data" / "schema1" / "flipflop" / "u2-s0-ac626909"
NEWER = ("saturation", "cross_time", "sparse", "description", "power")


@pytest.fixture
def old(tmp_path):
    """A copy of a run that was made before there was a schema number."""
    folder = tmp_path / "runs" / "flipflop" / OLD.name
    shutil.copytree(OLD, folder)
    return folder


def test_a_run_without_a_number_is_read_with_the_words_of_today(old):
    run = load_run(old)
    assert run.schema == 1 and "schema" not in run.info
    assert run.config["tbptt"] == 1 and run.config["probe"]["null"] == "roll"
    assert run.config["probe"]["estimator"] == "logistic" and "carry" not in run.config
    assert run.settings("probe")["effects"] == [0.1, 0.25, 0.5]  # not there when the run was made
    raw = {name: pd.read_parquet(old / f"{name}.parquet") for name in ("probes", "ablations", "confounds")}
    for name, table in run.tables().items():
        assert {*table.columns} <= {*ANALYSES[name].columns}, name
    floored = raw["ablations"][["baseline", "ablated"]].clip(lower=0)
    assert (run.ablations["score_drop"] == floored["baseline"] - floored["ablated"]).all()
    assert set(run.ablations["needed"]) == {"not measured"} and run.ablations["refit_drop"].isna().all()
    assert (run.ablations["intact"] == raw["ablations"]["baseline"]).all()
    assert set(run.ablations["direction"]) == {"forward"} and "distributed" not in set(run.codes["code"])
    assert (run.confounds["collinear_with"] == raw["confounds"]["alike"]).all()
    for ours, theirs in zip(run.probes.itertuples(), raw["probes"].itertuples()):
        if ours.score == ours.score:
            expected = [e if ours.metric == "r2" else 2 * e - 1 for e in (theirs.ci_low, theirs.ci_high)]
            assert [ours.ci_low, ours.ci_high] == pytest.approx([max(0, e) for e in expected])
    assert set(run.probes["metric"]) >= {"r2", "auroc"}


@pytest.mark.parametrize("schema", [2, 3])
def test_losses_of_an_earlier_form_end_at_chance_and_say_nothing_of_need(schema):
    """A drop went on below chance; that made a unit used."""
    columns = [name for name in ABLATION_COLUMNS if not name.startswith("re") and name not in ("off_data", "needed")]
    rows = [(0.9, 0.4, 0.5, True), (0.9, -2.7, 3.6, True), (-0.2, -0.5, 0.3, False), (0.5, math.nan, math.nan, False)]
    table = pd.DataFrame([dict.fromkeys(columns, "x") | {"intact": intact, "clamped": clamped, "score_drop": drop,
                          "ci_low": drop - 0.1, "ci_high": drop + 0.1, "uses": uses}
                          for intact, clamped, drop, uses in rows])  # fmt: skip
    read = read_table("ablations", table, schema)
    assert {*read} == {*ABLATION_COLUMNS} and "uses" in table
    assert read["score_drop"].tolist() == pytest.approx([0.5, 0.9, 0, math.nan], nan_ok=True)
    assert read["ci_high"].tolist() == pytest.approx([0.6, 3.7, 0.4, math.nan], nan_ok=True)  # as they were
    assert read[["refit_drop", "refit_ci_low", "refit_ci_high", "readout_drop"]].isna().all().all()
    assert set(read["needed"]) == {"not measured"} and not read["off_data"].any()
    assert read_table("ablations", read, 4).equals(read)


def test_what_it_does_not_have_was_not_measured(old, capsys):
    run = load_run(old)
    assert not set(NEWER) & set(run.measured)
    for name in NEWER:
        assert getattr(run, name).empty
    assert not unit_cards(run)["words"].str.contains("nan").any()
    told = "Whether it is needed was measured by an earlier version, which clamped units alone and as they stand"
    assert (
        unit_cards(run)["words"].str.contains(told).all() and not unit_cards(run)["status"].str.contains("need").any()
    )
    assert main(["report", f"outputs={old.parents[2]}"]) == 0
    page = (old.parents[2] / "report" / "index.html").read_text()
    assert "Not measured on this run" in page and ANALYSES["saturation"].says in page
    assert "Traceback" not in capsys.readouterr().err


def test_it_can_be_analysed_again_and_what_it_has_is_found(old, capsys, caplog):
    before = {file: file.read_bytes() for file in old.rglob("*.parquet")}
    again = ["probe.sequences=40", "probe.permutations=99", "probe.bootstrap=20", "probe.untrained=1"]
    fast = [*again, "probe.variables=[c]", "probe.rotations=19"]
    assert main(["probe", f"run={old}", *fast, "probe.analyses=[saturation,power]"]) == 0
    said = capsys.readouterr()
    assert "made by an earlier version (schema 1)" in said.err and "power: which effects" in said.out
    assert all(file.read_bytes() == content for file, content in before.items())


def test_a_set_is_as_long_as_it_is_and_nothing_else_is_one():
    units = " ".join(f"{layer}·{unit}{arrow}" for layer in range(2) for unit in range(99) for arrow in ("", "←"))
    table = pd.DataFrame({"set": [units, "3"], "target": ["y" * 400, "y"], "not_apart": ["ab, " * 100, "a\x1b[2J"]})
    read = read_table("sets", table, SCHEMA)
    assert read["set"].tolist() == [units, "3"] and len(read["target"][0]) == 300
    assert read["not_apart"].tolist() == ["ab, " * 100, "a\\x1b[2J"]
    for other in ("1 x", "1·2·3", "", "<b>", "1" * 400, "1 2 …7"):
        with pytest.raises(ValueError, match="a set of units that is none"):
            read_table("sets", table.assign(set=other), SCHEMA)


@pytest.mark.parametrize("number", [SCHEMA + 1, 99])
def test_a_newer_one_is_refused(old, number):
    info = json.loads((old / "run.json").read_text())
    (old / "run.json").write_text(json.dumps({"schema": number, "anything": "else"}))
    with pytest.raises(InputError, match=rf"newer version \(schema {number}; this one reads up to {SCHEMA}\); update"):
        load_run(old)
    assert find_runs(old.parents[2])[0] == [] and info["status"] == "finished"


@pytest.mark.parametrize("number", ["2", 0, -1, 2.0, None, [2]])
def test_a_number_that_is_none_is_damage(old, number):
    info = json.loads((old / "run.json").read_text()) | {"schema": number}
    (old / "run.json").write_text(json.dumps(info))
    with pytest.raises(InputError, match=r"run\.json: damaged"):
        load_run(old)
