"""A run whose machine stood still is made by another one; the first then takes what that one made."""

import os
import signal
import time

import pytest

from lstm_probe.core.console import set_up_logging
from lstm_probe.runs.making import Measuring
from lstm_probe.runs.opening import find_runs
from lstm_probe.runs.settings import RunSettings
from lstm_probe.runs.training import train_run
from tests.core.test_holding import be, hear, started


def trains(pipe, outputs, machine, locks):
    be(machine, locks)
    set_up_logging()
    settings = RunSettings(task={"name": "flipflop", "bits": 2, "length": 12}, units=2, steps=2500, evaluate_every=20,
                           stop_when_solved=False, test_sequences=32, outputs=str(outputs))  # fmt: skip
    run = train_run(settings, Measuring((), {}, 1, lambda *_: None))
    pipe.send(run.name)


@pytest.mark.slow
@pytest.mark.parametrize("locks", ["within", "none"])
def test_a_machine_that_stood_still_takes_what_another_made(tmp_path, locks):
    first, one = started(trains, tmp_path, "a", locks)
    while not (there := list(tmp_path.glob("runs/flipflop/.*.partial/checkpoint.pt"))):
        assert first.is_alive()
        time.sleep(0.02)
    os.kill(first.pid, signal.SIGSTOP)
    _, other = started(trains, tmp_path, "b", locks)
    name = hear(other)
    assert not there[0].exists()
    os.kill(first.pid, signal.SIGCONT)
    assert hear(one) == name
    (run,), damaged = find_runs(tmp_path)
    run.check()
    log = (run.path / "train.log").read_text()
    assert damaged == [] and log.count("goes on from step") == 1 and log.count("2500/2500") == 1
    assert [path.name for path in run.path.parent.iterdir() if "lock." not in path.name] == [run.path.name]
