"""`ablate`: which units of a finished run the network needs, with other settings than the run's own.

What is heavy is imported when the run has been found, so that a wrong folder is refused at once.
"""

from dataclasses import asdict

from lstm_probe.cli.config import AblateConfig
from lstm_probe.cli.next_step import after_ablating, show_next
from lstm_probe.core.errors import InputError
from lstm_probe.runs.run import load_run


def run(config: AblateConfig) -> None:
    """Ablate the run again and print what was found and where the table is."""
    ablated = load_run(config.run)
    if reason := ablated.info.get("not_ablated"):
        raise InputError(f"run={config.run}: its units cannot be clamped: {reason}.")

    import torch

    from lstm_probe.report import print_findings
    from lstm_probe.runs.again import analyse_again

    torch.set_num_threads(config.threads)
    folder, tables = analyse_again(ablated, "ablate", asdict(config.ablate), config.seed)
    findings = print_findings(ablated, tables=tables, folder=folder)
    show_next(*after_ablating(ablated, findings))
