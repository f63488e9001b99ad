"""`measure=light`, and what fills it in later: the same tables as of a run that is whole at once."""

import shutil

import pandas as pd
import pytest

from lstm_probe.cli import main, many
from lstm_probe.cli.config import AblateConfig, ProbeConfig
from lstm_probe.cli.jobs import PartlyError
from lstm_probe.cli.many import asked_as_it_is, folders_of, to_fill
from lstm_probe.core.errors import InputError
from lstm_probe.runs.opening import find_runs
from lstm_probe.runs.run import Run, load_run
from lstm_probe.runs.settings import LIGHT

TINY = ["task=flipflop", "task.bits=2", "task.length=12", "steps=60", "stop_when_solved=false", "test_sequences=32",
        "probe.sequences=30", "probe.permutations=99", "probe.bootstrap=10", "probe.untrained=1", "probe.rotations=19",
        "ablate.sequences=20", "ablate.bootstrap=10", "units=3"]  # fmt: skip


def train(outputs, *words):
    for seed in (0, 1):
        assert main(["train", *TINY, f"seed={seed}", f"outputs={outputs}", *words]) == 0


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """Two runs that were made light, and the same made whole."""
    folder = tmp_path_factory.mktemp("stores")
    train(folder / "light", "measure=light")
    train(folder / "whole")
    return folder


@pytest.fixture
def light(stores, tmp_path):
    shutil.copytree(stores / "light", tmp_path / "light")
    return tmp_path / "light"


def assert_same(outputs, whole):
    runs, others = find_runs(outputs)[0], find_runs(whole)[0]
    assert [run.name for run in runs] == [run.name for run in others]
    for run, other in zip(runs, others, strict=True):
        run.check()
        assert run.measured == other.measured and not run.page_left_out
        assert (run.path / "report.html").is_file() and "report.html" in run.files
        for name in other.measured:
            pd.testing.assert_frame_equal(getattr(run, name), getattr(other, name), check_exact=True)
        assert run.info["learned"] == other.info["learned"] and set(run.info["warnings"]) == set(other.info["warnings"])


@pytest.mark.slow
def test_light_is_what_tracks_and_needed_rest_on(light, stores):
    for run, whole in zip(find_runs(light)[0], find_runs(stores / "whole")[0], strict=True):
        assert run.measured == LIGHT == tuple(run.info["measured"]) and run.page_left_out
        assert {path.name for path in run.path.iterdir()} == {
            "ablations.parquet", "config.yaml", "examples.safetensors", "history.parquet", "model.safetensors",
            "probes.parquet", "run.json", "train.log"}  # fmt: skip
        for name in LIGHT:
            pd.testing.assert_frame_equal(getattr(run, name), getattr(whole, name), check_exact=True)


@pytest.mark.slow
def test_the_same_command_with_full_adds_the_rest(light, stores, capsys):
    train(light)
    assert_same(light, stores / "whole")
    before = {path: path.stat().st_mtime_ns for path in light.rglob("*") if path.is_file()}
    train(light, "measure=light")
    assert {path: path.stat().st_mtime_ns for path in light.rglob("*") if path.is_file()} == before


@pytest.mark.slow
def test_a_pattern_fills_in_and_passes_over_what_is_damaged(light, stores, capsys):
    first = find_runs(light)[0][0].path
    damaged = first.with_name("u3-s7-00000000")
    shutil.copytree(first, damaged)
    (first.parent / "no-run").mkdir()
    pattern = f"run={first.parent}/*"
    assert main(["probe", pattern]) == 1
    shown = capsys.readouterr()
    assert "2 of 3 runs done." in shown.out
    assert f"1 of 3: {first.name}: filled in" in shown.err and "3 of 3: u3-s7-00000000: passed over" in shown.err
    assert str(damaged) in shown.err.splitlines()[-1] and "Traceback" not in shown.err
    shutil.rmtree(damaged)
    assert_same(light, stores / "whole")
    assert main(["probe", pattern]) == 0
    assert capsys.readouterr().err.count("nothing to add") == 2
    assert main(["ablate", pattern, "ablate.mode=zero", "ablate.analyses=[ablations]"]) == 0
    assert "2 of 2 runs done." in capsys.readouterr().out
    made = [load_run(path) for path in first.parent.glob("u3-*")]
    assert all(len(list((run.path / "analyses").glob("ablate-*"))) == 1 for run in made)


@pytest.mark.slow
def test_a_single_run_is_filled_in_too(light, stores, capsys):
    first = find_runs(light)[0][0].path
    assert main(["probe", f"run={first}"]) == 0
    assert load_run(first).measured == find_runs(stores / "whole")[0][0].measured
    assert f"report: {first / 'report.html'}" in capsys.readouterr().out
    assert not (first / "analyses").exists()


def test_folders_of_a_pattern(tmp_path):
    for name in ("a", "b", ".c.partial", "[a]"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").touch()
    (tmp_path / "empty").mkdir()
    assert folders_of(f"{tmp_path}/*") == [tmp_path / name for name in ("[a]", "a", "b")]
    assert folders_of(f"{tmp_path}/[a]") == [tmp_path / "[a]"]
    assert folders_of("nowhere/run")[0].name == "run"  # of which is said that there is none
    with pytest.raises(InputError, match="no run there"):
        folders_of(f"{tmp_path}/x*")


def test_what_is_asked_of_a_run_as_it_is(tmp_path):
    own = {"permutations": 200, "null": "roll"}
    run = Run(tmp_path, {"measured": ["probes"]})
    run.__dict__["config"] = {"seed": 3, "probe": own}
    as_it_is = {"probe": ProbeConfig(run="x"), "ablate": AblateConfig(run="x")}
    assert all(asked_as_it_is(run, config, command) for command, config in as_it_is.items())
    missing = to_fill(run, as_it_is["probe"], "probe")
    assert missing[0] == "populations" and "patches" in missing and "probes" not in missing
    same = ProbeConfig(run="x", seed=3)
    same.probe.permutations, same.probe.null = 200, "roll"
    assert asked_as_it_is(run, same, "probe")
    others = [ProbeConfig(run="x", seed=4), ProbeConfig(run="x", card="1"), *(ProbeConfig(run="x") for _ in range(2))]
    others[2].probe.permutations = 300
    others[3].probe.analyses = ["probes"]
    for config in others:
        assert not asked_as_it_is(run, config, "probe") and to_fill(run, config, "probe") is None
    run.info["measured"] += missing
    assert to_fill(run, as_it_is["probe"], "probe") is None
    run.info["page"] = False
    assert to_fill(run, as_it_is["probe"], "probe") == []


def test_a_run_with_several_problems_counts_once(tmp_path, monkeypatch, capsys):
    for name in "abc":
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").touch()

    def done(run, *_):
        if run.name == "a":
            raise InputError(*(f"{run.path / file}: damaged" for file in "xyz"))
        return "filled in"

    monkeypatch.setattr(many, "load_run", lambda folder: Run(folder, {"run": folder.name}))
    monkeypatch.setattr(many, "_done", done)
    with pytest.raises(PartlyError) as raised:
        many.for_each(ProbeConfig(run=f"{tmp_path}/*"), "probe", lambda run: None, lambda run: "")
    assert len(raised.value.problems) == 3 and "2 of 3 runs done." in capsys.readouterr().out
