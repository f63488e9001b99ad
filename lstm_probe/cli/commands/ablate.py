"""`ablate`: which units of a finished run the network uses, with other settings than the run's own.

What is heavy is imported when the run has been found, so that a wrong folder is refused at once.
"""

from dataclasses import asdict
from typing import TYPE_CHECKING

from lstm_probe.cli.config import AblateConfig
from lstm_probe.core.console import console
from lstm_probe.core.errors import InputError
from lstm_probe.runs.run import load_run

if TYPE_CHECKING:
    import pandas as pd


def run(config: AblateConfig) -> None:
    """Ablate the run again and print what was found and where the table is."""
    ablated = load_run(config.run)
    if reason := ablated.info.get("not_ablated"):
        raise InputError(f"run={config.run}: its units cannot be clamped: {reason}.")

    import torch

    from lstm_probe.report import print_findings
    from lstm_probe.runs.again import analyse_again
    from lstm_probe.runs.measure import measure_ablations

    torch.set_num_threads(config.threads)
    model, task = ablated.model, ablated.task

    def make(seed: int) -> "dict[str, pd.DataFrame]":
        with console.status("clamping every unit"):
            return {"ablations": measure_ablations(model, task, config.ablate, seed, ablated.name)}

    folder, tables = analyse_again(ablated, "ablate", asdict(config.ablate), config.seed, make)
    print_findings(ablated, tables=tables, folder=folder)
