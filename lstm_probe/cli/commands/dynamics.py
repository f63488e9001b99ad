"""`dynamics`: how memories of finished runs are written, held and read.

What is heavy is imported when the runs have been found, so that a wrong folder is refused at once.
"""

import logging
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lstm_probe.cli.config import DynamicsConfig
from lstm_probe.cli.many import for_each
from lstm_probe.cli.next_step import figures_of, show_next
from lstm_probe.core.errors import InputError
from lstm_probe.runs.analyses import ANALYSES
from lstm_probe.runs.run import Run

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)


def run(config: DynamicsConfig) -> None:
    """Follow the memories of a run, or of each that a pattern names, and print what was found and where it is."""
    for_each(config, "dynamics", partial(follow_one, config), lambda run: str(follow(config, run)[0]))


def follow_one(config: DynamicsConfig, run: Run) -> None:
    """Follow the memories of a run, and print what was found."""
    from lstm_probe.report import print_findings

    folder, tables = follow(config, run)
    print_findings(run, tables=tables, folder=folder)
    show_next(*figures_of(run))


def follow(config: DynamicsConfig, run: Run) -> "tuple[Path, dict[str, pd.DataFrame]]":
    """Return the folder and tables of a run whose memories are followed with these settings."""
    settings = asdict(config.dynamics)
    if reason := run.info.get("not_ablated"):
        asked = settings["analyses"]
        settings["analyses"] = [name for name in asked if ANALYSES[name].without_outputs]
        if not settings["analyses"]:
            raise InputError(f"run={run.path}: its outputs cannot be followed: {reason}.")
        if left_out := [name for name in asked if name not in settings["analyses"]]:
            log.warning("%s: not measured: %s", ", ".join(left_out), reason)

    import torch

    from lstm_probe.runs.again import analyse_again

    torch.set_num_threads(config.threads)
    return analyse_again(run, "dynamics", settings, config.seed)
