"""What a command's configuration says of measuring."""

from dataclasses import asdict

from lstm_probe.cli.config import ImportConfig, TrainConfig
from lstm_probe.report import write_run_report
from lstm_probe.runs.making import Measuring
from lstm_probe.runs.settings import COMMANDS


def measuring_of(config: TrainConfig | ImportConfig) -> Measuring:
    """Return what is to be measured, and how."""
    settings = {command: asdict(getattr(config, command)) for command in COMMANDS}
    names = [name for own in settings.values() for name in own["analyses"]] if config.measure == "full" else []
    return Measuring(tuple(names), settings, config.threads, write_run_report)
