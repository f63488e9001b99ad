"""`train`: train one network, then record, probe and ablate it, and draw what was found; or a stack of them."""

from pathlib import Path

import torch

from lstm_probe.cli.config import TrainConfig
from lstm_probe.cli.measuring import measuring_of
from lstm_probe.cli.next_step import after_run, command, show_next
from lstm_probe.core.console import out
from lstm_probe.core.numbers import number
from lstm_probe.core.tables import WordTable
from lstm_probe.report import print_findings
from lstm_probe.runs.stacked import StackRuns, train_stack
from lstm_probe.runs.training import train_run


def run(config: TrainConfig) -> Path | list[Path]:
    """Make the run of this configuration, unless it is there already; print what was found; return its folder.

    Of a stack, the folders of its members' runs; an error where one failed, after all the others are made.
    """
    torch.set_num_threads(config.threads)
    if config.stack:
        made = train_stack(config, measuring_of(config))
        _show(made, config)
        made.check()
        return [run.path for run in made.runs]
    run = train_run(config, measuring_of(config))
    if not out.quiet:
        show_next(*after_run(run, print_findings(run)))
    return run.path


def _show(made: StackRuns, config: TrainConfig) -> None:
    numbers = ("seed", "lr", "updates", "lowest score")
    table = WordTable("seed", "lr", "updates", "lowest score", "run", numbers=numbers, title="stack")
    for run in made.runs:
        score = number(min(run.info["scores"].values())) if run.info["scores"] else ""
        settings = run.config
        table.add_row(str(settings["seed"]), f"{settings['lr']:g}", str(run.info["steps_done"]), score, run.name)
    out.print(table)
    if made.runs:
        show_next(("All runs on one page:", command("report", outputs=config.outputs)))
