"""Equal jobs of a sweep are run once: what is left of its overrides gives each configuration once, and all of them."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from lstm_probe.cli import main
from lstm_probe.cli.launch import register_schemas
from lstm_probe.cli.repeated import each_once
from lstm_probe.cli.summary import twice
from lstm_probe.core.files import configuration_folder
from lstm_probe.runs.store import config_hash, result_config
from tests.cli.test_summary import job


def hashes(lines):
    """The hash of each job's configuration, as Hydra expands the sweep and composes its jobs."""
    parsed = OverridesParser.create().parse_overrides(lines)
    (jobs,) = BasicSweeper.split_arguments(parsed, max_batch_size=None)
    register_schemas("train")
    with initialize_config_dir(str(configuration_folder()), version_base="1.3"):
        composed = [OmegaConf.to_object(compose("train", overrides=list(one))) for one in jobs]
    return [config_hash(result_config(one)) for one in composed]


@pytest.mark.parametrize("lines", [
    ["task=parity", "seed=0,0"], ["task=parity", "seed=0,1,0", "units=4,8,4,4"],
    ["task=parity", "lr=0.1,1e-1,0.10,0.2", "forget_bias=1,1.0,null,0.0,-0.0"],
    ["task=parity,'parity',flipflop"], ["task=parity", "stop_when_solved=true,True,false"],
    ["task=parity", "probe.lags=[0,1],[0],[0, 1]"], ["task=parity", "seed=choice(2,2,3)", "cell=lstm,'lstm',gru"],
    ["task=parity", "++task.length=20,20,30", "seed=range(0,2)"], ["task=parity", "seed=sort(3,1,3)"],
])  # fmt: skip
def test_each_configuration_is_left_once(lines):
    kept, told = each_once(lines)
    before, after = hashes(lines), hashes(kept)
    assert len(after) == len({*after}) < len(before) and {*after} == {*before}
    assert len(told) == sum(one != two for one, two in zip(lines, kept, strict=True))
    assert each_once(kept) == (kept, [])


@pytest.mark.parametrize("lines", [
    ["seed=0,1", "units=4"], ["name=1,'1',true"], ["seed=range(0,3)"], ["task=glob(*)"], ["probe.lags=[0,1],[1,0]"],
    ["stop_when_solved=true,1"], ["experiment=null,'null'"],
])  # fmt: skip
def test_what_is_not_known_to_be_equal_stays_as_it_was_written(lines):
    assert each_once(lines) == (lines, [])


def test_a_sweep_says_it_and_runs_one_job(tmp_path, monkeypatch, capsys):
    """One folder of a job, in a sweep of which three were asked for."""
    words = ["train", "--multirun", "task=parity", "steps=20", "measure=none", "units=2", "seed=0,0,0"]
    monkeypatch.chdir(tmp_path)
    assert main(words) == 0
    shown = capsys.readouterr()
    assert "seed=0,0,0: equal jobs are run once, as by seed=0." in shown.err
    assert [path.parent.name for path in Path(tmp_path).rglob("job.json")] == ["0"]
    assert "1 of 1 jobs finished. " in shown.out


def test_jobs_of_one_run_are_told_by_its_hash():
    """Whatever they were called: the run is the configuration."""
    jobs = [job(4, 0), job(4, 1), job(4, 0), job(4, 0), job(8, 0, run=None)]
    assert twice([(str(n), one) for n, one in enumerate(jobs)]) == [
        "Jobs 0, 2 and 3 are one run, u4-s0-1a2b3c4d: what they differ in, if anything, changes no result."
    ]
    many = [(str(n), job(4, n // 2)) for n in range(12)]
    assert len(twice(many)) == 4 and twice(many)[-1] == "So are those of 3 more runs."
