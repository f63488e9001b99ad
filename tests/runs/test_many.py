"""All runs of a store as one data set: against each run loaded alone, and filters against a loop."""

import shutil

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import lstm_probe as lp
from lstm_probe.core.digests import sealed, unsealed
from lstm_probe.core.errors import InputError
from lstm_probe.runs.columns_of import put_together
from lstm_probe.runs.making import seal
from tests.runs.store import make_store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    outputs = tmp_path_factory.mktemp("many")
    make_store(outputs)
    return outputs


@pytest.fixture
def own(store, tmp_path):
    shutil.copytree(store, tmp_path / "o")
    return tmp_path / "o"


def plain(frame):
    """Categories as the texts that they stand for."""
    texts = {name: object for name in frame if isinstance(frame[name].dtype, pd.CategoricalDtype | pd.StringDtype)}
    return frame.astype(texts).reset_index(drop=True)


def each_alone(runs, name):
    return pd.concat([getattr(lp.load_run(run.path), name) for run in runs], ignore_index=True)


def test_tables_are_those_of_each_run(store):
    runs = lp.load_runs(store / "runs")
    assert len(runs) == 30 and {run.path for run in runs} == set((store / "runs" / "flipflop").iterdir())
    measured = {name for run in runs for name in run.measured}
    assert {"probes", "ablations"} <= measured
    for name in measured:
        alone = each_alone(runs, name)
        assert list(getattr(runs, name)) == list(alone)
        pd.testing.assert_frame_equal(plain(getattr(runs, name)), plain(alone), check_dtype=False)
    assert isinstance(runs.probes["signal"].dtype, pd.CategoricalDtype) and runs.probes is runs.probes
    history = each_alone(runs, "history")
    assert list(runs.history) == ["run", "task", "units", "seed", *history]
    pd.testing.assert_frame_equal(plain(runs.history[list(history)]), plain(history), check_dtype=False)
    lengths = [len(run.history) for run in runs]
    for key in ("run", "task", "units", "seed"):
        assert list(runs.history[key]) == list(np.repeat([run.info[key] for run in runs], lengths))


def test_only_some_columns_and_rows(store):
    runs = lp.load_runs(store)
    whole = plain(runs.probes)
    some = runs.read("probes", columns=["effect", "run"], where={"variable": ["c", "h"], "unit": 1})
    wanted = whole[whole["variable"].isin(["c", "h"]) & (whole["unit"] == 1)]
    assert len(wanted) > 30
    pd.testing.assert_frame_equal(plain(some), wanted[["effect", "run"]].reset_index(drop=True))
    none = runs.read("probes", where={"variable": "x"})
    assert len(none) == 0
    with pytest.raises(InputError, match=r"efect: no such column of probes\. Did you mean 'effect'"):
        runs.read("probes", columns=["efect"])
    with pytest.raises(InputError, match=r"unit=.*is no value"):
        runs.read("probes", where={"unit": "c"})
    with pytest.raises(InputError, match=r"name=probe: no such table\. Did you mean 'probes'"):
        runs.read("probe")
    with pytest.raises(AttributeError):
        _ = runs.probe


def test_the_table_of_runs(store):
    table = lp.load_runs(store).table
    assert list(table)[:12] == list(lp.columns("runs"))
    varying = set(table) - set(lp.columns("runs")) - {"score.bit0", "score.bit1"}
    assert varying == {"lr"}
    for row, path in zip(table.to_dict("records"), table["path"]):
        run = lp.load_run(path)
        scores = run.info["scores"]
        assert row["lr"] == run.config["lr"] and row["units"] == run.config["units"] and row["run"] == run.name
        assert row["lowest"] == min(scores.values()) == scores[row["of"]] and row["score.bit1"] == scores["bit1"]
        assert row["learned"] == all(run.info["learned"].values()) and row["solved"] == run.info["solved"]
        assert row["seconds"] == pytest.approx(sum(run.info["seconds"].values()))


@pytest.mark.parametrize(
    "where",
    [
        {"units": 2}, {"units": [2, 3], "seed": range(3, 6)}, {"task": "flipflop", "lr": 0.01}, {"lr": [0.1, 0.003]},
        {"task.bits": 2, "units": 3}, {"learned": False}, {"learned": True}, {"solved": True}, {"solved": False},
        {"probe.lags": [0]}, {"layers": 1}, {"seed": 4.0}, {"measured": "probes", "seed": 2}, {"units": True},
        {"probe.lags": 0}, {"seed": "4"}, {"projection": None}, {"layers": True}, {"probe.variables": ["c", "h"]},
    ],
)  # fmt: skip
def test_filters_are_a_loop_over_all(store, where):
    def told(run, key):
        if key == "learned":
            return all(run.info["learned"].values())
        return run.info[key] if key in run.info else run.flat[key]

    def fits(run):
        for key, value in where.items():
            held, values = told(run, key), value if isinstance(value, list | range) else [value]
            if key == "measured":
                fine = any(one in held for one in values)
            elif isinstance(held, list):
                fine = held == values
            else:
                fine = any(held == one and isinstance(held, bool) == isinstance(one, bool) for one in values)
            if not fine:
                return False
        return True

    every = list(lp.load_runs(store))
    wanted = [run.name for run in every if fits(run)]
    assert [run.name for run in lp.load_runs(store, **where)] == wanted
    if where in ({"units": 2}, {"lr": [0.1, 0.003]}, {"task.bits": 2, "units": 3}):
        assert 0 < len(wanted) < len(every)


def test_what_no_run_has_is_said(store, tmp_path, caplog):
    with pytest.raises(InputError, match=r"unit: no run has such a key\. Did you mean 'units'"):
        lp.load_runs(store, unit=2)
    with pytest.raises(InputError, match=r"Did you mean 'task\.bits'"):
        lp.load_runs(store, **{"task.bit": 2})
    with pytest.raises(InputError, match="no such folder"):
        lp.load_runs(tmp_path / "nowhere")
    none = lp.load_runs(store, units=64)
    assert len(none) == 0 and "units=64 (there are 2, 3)" in caplog.text and "no finished run" in repr(none)
    assert list(none.probes) == list(lp.columns("probes")) and len(none.table) == 0
    (tmp_path / "runs").mkdir()
    assert len(lp.load_runs(tmp_path)) == 0 and "no finished run is there" in caplog.text


def test_damaged_runs_are_left_out_by_name(own, caplog):
    runs = sorted((own / "runs" / "flipflop").iterdir())
    (runs[0] / "run.json").write_text("{")
    (runs[1] / "memory.parquet").unlink(missing_ok=True)
    flip(runs[2] / "probes.parquet")
    flip(runs[3] / "config.yaml")
    found = lp.load_runs(own)
    left = [run.name for run in found]
    assert runs[0].name not in left and str(runs[0]) in caplog.text and len(found.damaged) >= 1
    probes = found.probes
    assert runs[2].name not in set(probes["run"]) and f"{runs[2] / 'probes.parquet'}: damaged" in caplog.text
    assert set(probes["run"]) == {*left} - {runs[2].name}
    assert runs[3].name in set(found.table["run"]) and f"{runs[3] / 'config.yaml'}: damaged" in caplog.text
    assert all(any(str(run) in line for line in found.damaged) for run in (runs[0], runs[2], runs[3]))
    again = len(found.damaged)
    found.read("probes")
    assert len(found.damaged) == again
    assert runs[3].name not in [run.name for run in lp.load_runs(own, lr=[0.003, 0.01, 0.03, 0.1])]


def flip(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def test_tables_of_earlier_forms_have_todays(own):
    """An old table of ablations stands beside new ones as it does where its run is loaded alone."""
    folder = next((own / "runs" / "flipflop").iterdir())
    table = pd.read_parquet(folder / "ablations.parquet")
    old = ["refit_drop", "refit_ci_low", "refit_ci_high", "readout_drop", "off_data", "needed"]
    table.drop(columns=old).assign(uses=True).to_parquet(folder / "ablations.parquet")
    info = {key: value for key, value in unsealed((folder / "run.json").read_bytes()).items() if key != "digest"}
    (folder / "run.json").write_text(sealed({**info, "schema": 3}))
    seal(folder)
    runs = lp.load_runs(own)
    assert (runs.ablations.loc[runs.ablations["run"] == folder.name, "needed"] == "not measured").all()
    pd.testing.assert_frame_equal(plain(runs.ablations), plain(each_alone(runs, "ablations")), check_dtype=False)


def test_columns_of_several_kinds_come_together():
    def part(**columns):
        table = pa.table(columns)
        texts = [name for name in table.column_names if pa.types.is_string(table[name].type)]
        for name in texts:
            table = table.set_column(table.column_names.index(name), name, table[name].dictionary_encode())
        return table

    parts = [part(a=[1, 2], b=["x", None]), part(a=pa.array([None], pa.null()), b=["a\x1b[31m"]), part(a=[0.5])]
    whole = put_together(parts).to_pandas()
    assert list(whole["a"].fillna(-1)) == [1, 2, -1, 0.5]
    assert list(whole["b"].astype(object).fillna("-")) == ["x", "-", r"a\x1b[31m", "-"]
    assert put_together([part(a=pa.array([], pa.int64()))]) is None
