"""The run store: places, locks, exchanges, and what damaged folders say."""

import json
import time

import pandas as pd
import pytest

from lstm_probe.core.errors import InputError
from lstm_probe.runs.info import ALWAYS
from lstm_probe.runs.making import seal
from lstm_probe.runs.opening import find_runs, unfinished_runs
from lstm_probe.runs.plain import to_yaml
from lstm_probe.runs.run import RUN_FILES, load_run
from lstm_probe.runs.schema import SCHEMA
from lstm_probe.runs.store import claim, config_hash, publish, run_folder
from tests.processes import FRESH

MEASURED = ["probes", "populations", "ablations"]


def place(outputs, task="a", units=4):
    """Where such a run has its place."""
    return run_folder(outputs, {"task": {"name": task}, "units": units, "seed": 0})


def fake_run(folder, task="a", units=4, sealing=True, **info):
    """A folder that has a run's files, of which only run.json and config.yaml can be read."""
    folder.mkdir(parents=True)
    for name in (*RUN_FILES, *(f"{table}.parquet" for table in MEASURED)):
        (folder / name).write_bytes(b"nonsense")
    config = {"task": {"name": task}, "units": units, "seed": 0}
    (folder / "config.yaml").write_text(to_yaml(config))
    whole = {
        "status": "finished", "run": place(folder, task, units).name, "task": task, "units": units, "seed": 0,
        "schema": SCHEMA, "measured": MEASURED, "hash": config_hash(config), "scores": {"a": 0.5},
        "learned": {"a": True}, "solved": False, "seconds": {"train": 1.5}, "finished": "2026-01-01T00:00:00+00:00",
    } | info  # fmt: skip
    (folder / "run.json").write_text(json.dumps(whole))
    if sealing:
        seal(folder)
    return folder


def test_a_run_is_its_configuration(tmp_path):
    config = {"task": {"name": "tracking", "length": 50}, "units": 8, "seed": 3, "lr": 0.01}
    reordered = dict(reversed(config.items()))
    assert run_folder(tmp_path, config) == run_folder(tmp_path, reordered)
    assert run_folder(tmp_path, config).parent == tmp_path / "runs" / "tracking"
    assert run_folder(tmp_path, config).name == f"u8-s3-{config_hash(config)}"
    others = [{**config, "lr": 0.02}, {**config, "task": {"name": "tracking", "length": 51}}]
    assert len({config_hash(c) for c in (config, *others)}) == 3


def hold(folder, started, seconds):
    with claim(folder):
        started.set()
        time.sleep(seconds)


def test_a_place_is_held_by_one_process_and_freed_when_it_is_killed(tmp_path):
    folder = tmp_path / "runs" / "t" / "u1-s0-00000000"
    started = FRESH.Event()
    other = FRESH.Process(target=hold, args=(folder, started, 60))
    other.start()
    assert started.wait(30)
    waited = []

    def waiting():
        waited.append(True)
        other.kill()

    with claim(folder, waiting) as partial:
        assert partial.parent == folder.parent and partial.name.startswith(f".{folder.name}.")
    other.join()
    assert waited
    assert not tmp_path.exists() or not list(tmp_path.iterdir())


def test_publishing_replaces_the_old_run_at_the_end(tmp_path):
    folder = fake_run(place(tmp_path))
    with claim(folder) as partial:
        fake_run(partial, steps_done=7)
        publish(partial, folder)
    assert load_run(folder).info["steps_done"] == 7
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_an_exchange_that_was_cut_in_two_is_put_right(tmp_path):
    folder = place(tmp_path)
    fake_run(folder.with_name(f".{folder.name}.old"))
    with claim(folder):
        assert load_run(folder).name == folder.name


def test_find_runs(tmp_path, monkeypatch):
    store = tmp_path / "runs"
    for task, units in (("b", 2), ("a", 16), ("a", 4)):
        fake_run(place(tmp_path, task, units), task, units)
    fake_run(store / "a" / ".u8-s0-0.partial")
    (fake_run(place(tmp_path, "a", 9), "a", 9) / "run.json").write_text("{")
    runs, damaged = find_runs(tmp_path)
    assert [(run.info["task"], run.info["units"]) for run in runs] == [("a", 4), ("a", 16), ("b", 2)]
    assert len(damaged) == 1 and "u9-s0-" in damaged[0]
    assert [path.name for path in unfinished_runs(tmp_path)] == [".u8-s0-0.partial"]
    monkeypatch.chdir(tmp_path)
    own = place(tmp_path).name
    for pattern in ("u4-*", "runs/a/u4*", str(store / "*" / own)):
        assert [run.name for run in find_runs(tmp_path, pattern=pattern)[0]] == [own]
    assert find_runs(tmp_path / "nowhere") == ([], [])


def test_what_is_no_run_says_so(tmp_path):
    with pytest.raises(InputError, match=r"run=.*nowhere: no such folder"):
        load_run(tmp_path / "nowhere")
    with pytest.raises(InputError, match="no run"):
        load_run(tmp_path)
    folder = fake_run(tmp_path / place(tmp_path).name)
    (folder / "probes.parquet").unlink()
    with pytest.raises(InputError, match=r"damaged \(no probes\.parquet\)"):
        load_run(folder)
    for content in ("{", "[]", '{"status": 3}'):
        (folder / "run.json").write_text(content)
        with pytest.raises(InputError, match=r"run\.json: damaged"):
            load_run(folder)
    (folder / "run.json").write_text(json.dumps(dict.fromkeys(ALWAYS, "failed")))
    with pytest.raises(InputError, match="not finished"):
        load_run(folder)


@pytest.mark.parametrize("name", ["history", "probes", "populations", "ablations", "examples", "config"])
def test_damaged_files_are_named(tmp_path, name):
    folder = fake_run(tmp_path / place(tmp_path).name)
    (folder / "config.yaml").write_text("nonsense")
    seal(folder)
    run = load_run(folder)
    with pytest.raises(InputError, match=rf"{name}\.\w+: damaged .*force=true"):
        getattr(run, name)


def test_a_truncated_table_is_named(tmp_path):
    folder = fake_run(tmp_path / place(tmp_path).name)
    file = folder / "probes.parquet"
    pd.DataFrame({"unit": range(1000)}).to_parquet(file)
    seal(folder)
    assert len(load_run(folder).probes) == 1000
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(InputError, match=r"probes\.parquet: damaged"):
        _ = load_run(folder).probes
