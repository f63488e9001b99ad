"""`ablate`: which units of finished runs the network needs: what was not measured so far, or with other settings.

What is heavy is imported when the runs have been found, so that a wrong folder is refused at once.
"""

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lstm_probe.cli.config import AblateConfig
from lstm_probe.cli.many import for_each
from lstm_probe.cli.next_step import after_ablating, show_next
from lstm_probe.core.errors import InputError
from lstm_probe.runs.run import Run

if TYPE_CHECKING:
    import pandas as pd


def run(config: AblateConfig) -> None:
    """Ablate a run, or each that a pattern names, and print what was found and where it is."""
    for_each(config, "ablate", partial(ablate_one, config), lambda run: str(ablate_again(config, run)[0]))


def ablate_one(config: AblateConfig, run: Run) -> None:
    """Ablate a run, and print what was found."""
    from lstm_probe.report import print_findings

    folder, tables = ablate_again(config, run)
    show_next(*after_ablating(run, print_findings(run, tables=tables, folder=folder)))


def ablate_again(config: AblateConfig, run: Run) -> "tuple[Path, dict[str, pd.DataFrame]]":
    """Return the folder and tables of a run that is ablated with these settings."""
    if reason := run.info.get("not_ablated"):
        raise InputError(f"run={run.path}: its units cannot be clamped: {reason}.")

    import torch

    from lstm_probe.runs.again import analyse_again

    torch.set_num_threads(config.threads)
    return analyse_again(run, "ablate", asdict(config.ablate), config.seed)
