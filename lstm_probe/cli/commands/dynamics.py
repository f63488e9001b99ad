"""`dynamics`: how a finished run's memories are written, held and read.

What is heavy is imported when the run has been found, so that a wrong folder is refused at once.
"""

from dataclasses import asdict

from lstm_probe.cli.config import DynamicsConfig
from lstm_probe.cli.next_step import figures_of, show_next
from lstm_probe.core.errors import InputError
from lstm_probe.runs.analyses import ANALYSES
from lstm_probe.runs.run import load_run


def run(config: DynamicsConfig) -> None:
    """Make the analyses of this command and print what was found and where the tables are."""
    followed = load_run(config.run)
    settings = asdict(config.dynamics)
    if reason := followed.info.get("not_ablated"):
        settings["analyses"] = [name for name in settings["analyses"] if ANALYSES[name].without_outputs]
        if not settings["analyses"]:
            raise InputError(f"run={config.run}: its outputs cannot be followed: {reason}.")

    import torch

    from lstm_probe.report import print_findings
    from lstm_probe.runs.again import analyse_again

    torch.set_num_threads(config.threads)
    folder, tables = analyse_again(followed, "dynamics", settings, config.seed)
    print_findings(followed, tables=tables, folder=folder)
    show_next(*figures_of(followed))
