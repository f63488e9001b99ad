"""`report`: all runs found, in words and figures, on one page.

What is heavy is imported when there are runs to draw, so that an empty folder is refused at once.
"""

import logging
from pathlib import Path

from rich.text import Text

from lstm_probe.cli.commands.runs import unfinished_lines
from lstm_probe.cli.config import ReportConfig
from lstm_probe.cli.filters import chosen
from lstm_probe.cli.jobs import for_good
from lstm_probe.core.console import out
from lstm_probe.core.errors import InputError
from lstm_probe.core.files import check_writable
from lstm_probe.core.numbers import many
from lstm_probe.runs.opening import find_runs, problems_of
from lstm_probe.runs.run import Run
from lstm_probe.runs.where import asked_words

log = logging.getLogger(__name__)


def words_of_part(config: ReportConfig, found: int) -> str:
    """Return which runs the page is of where it is not of all, so that no sentence on sizes is taken for one of all.

    Args:
        config: of the command.
        found: how many finished runs there are, of those that its pattern names if it has one.
    """
    named = f" that match {config.runs}" if config.runs else ""
    if config.where:
        part = f"Of {many(found, 'run')}{named}, those with {asked_words(config.where)}"
    elif named:
        part = f"The runs{named}"
    else:
        return ""
    return f"{part}: what is said of sizes and seeds, tried or not, is of these alone."


def run(config: ReportConfig) -> None:
    """Write the page and the figures, and print where they are and which sizes solved what, in how many seeds."""
    check_writable(Path(config.outputs), "outputs")
    found, damaged = find_runs(config.outputs, pattern=config.runs)
    runs, unread, none = chosen(found, config.where)
    damaged += unread
    for line in damaged:
        log.warning("left out: %s", line)
    if not runs:
        if none:
            raise InputError(none)
        where = f"runs={config.runs}" if config.runs else f"outputs={config.outputs}"
        raise InputError(f"{where}: no finished run there; `lstm-probe train` makes one, `lstm-probe runs` lists all")

    with for_good():
        from lstm_probe.report import write_report
        from lstm_probe.sizing.command import size_commands
        from lstm_probe.sizing.outcomes import outcome_words, size_outcomes
        from lstm_probe.sizing.stored import stored_sizes
        from lstm_probe.sizing.sweeps import told_of_sizes
        from lstm_probe.sizing.used import trained_sizes

    shown = {one.path: one for one in runs}

    def left_out(one: Run, error: Exception) -> None:
        del shown[one.path]
        log.warning("left out: %s", " ".join(problems_of(one, error)))

    partly = words_of_part(config, len(found))
    page = write_report(runs, Path(config.outputs), left_out, pages=config.pages, partly=partly)
    runs = list(shown.values())
    if len(runs) > 1:
        if partly:
            out.print(Text(partly))
        trained, untold = told_of_sizes([one for one in runs if one.trained])
        commands, searched = size_commands(trained), trained_sizes(trained, stored_sizes(Path(config.outputs))[0])
        for experiment, sentences in outcome_words(size_outcomes(trained)).items():
            out.print(Text(experiment, "bold"))
            if experiment in searched:
                out.print(Text(f"  {searched[experiment].sentence}"))
            for sentence in sentences:
                out.print(Text(f"  {sentence}"))
            if experiment in commands and experiment not in searched:
                out.print(Text("  More sizes and seeds, until the answer has an interval:"))
                out.print(Text(f"  {commands[experiment]}"), soft_wrap=True)
        if untold:
            out.print(Text(f"{untold} more experiments, of fewer runs each, are not told of one by one."))
    for line in unfinished_lines(Path(config.outputs)):
        out.print(Text(f"Not on the page: {line}"), soft_wrap=True)
    out.print(Text(f"report of {len(runs)} run{'s' if len(runs) > 1 else ''}: {page}"), soft_wrap=True)
