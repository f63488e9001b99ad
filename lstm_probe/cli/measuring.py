"""What a command's configuration says of measuring."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from lstm_probe.cli.config import ImportConfig, ShrinkConfig
from lstm_probe.report import write_run_report
from lstm_probe.runs.making import Measuring
from lstm_probe.runs.run import Run
from lstm_probe.runs.settings import COMMANDS, LIGHT, RunSettings


def measuring_of(config: RunSettings | ImportConfig) -> Measuring:
    """Return what is to be measured, and how."""
    return _measuring({command: asdict(getattr(config, command)) for command in COMMANDS}, config)


def measuring_as(run: Run, config: ShrinkConfig) -> Measuring:
    """Return what is to be measured on a run that is made of another one: what was on that, in the same way."""
    return _measuring({command: run.settings(command) for command in COMMANDS}, config)


def _measuring(
    settings: Mapping[str, Mapping[str, Any]], config: RunSettings | ImportConfig | ShrinkConfig
) -> Measuring:
    every = [name for own in settings.values() for name in own["analyses"]]
    names = {"full": every, "light": LIGHT, "none": ()}[config.measure]
    draw = None if config.measure == "light" else write_run_report
    return Measuring(tuple(names), settings, config.threads, draw)
