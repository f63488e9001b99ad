"""`train`: train one network, then record, probe and ablate it, and draw what was found."""

from pathlib import Path

import torch

from lstm_probe.cli.config import TrainConfig
from lstm_probe.cli.measuring import measuring_of
from lstm_probe.cli.next_step import after_run, show_next
from lstm_probe.core.console import out
from lstm_probe.report import print_findings
from lstm_probe.runs.training import train_run


def run(config: TrainConfig) -> Path:
    """Make the run of this configuration, unless it is there already; print what was found; return its folder."""
    torch.set_num_threads(config.threads)
    run = train_run(config, measuring_of(config))
    if not out.quiet:
        show_next(*after_run(run, print_findings(run)))
    return run.path
