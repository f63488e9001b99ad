"""`size`: how many units a task needs, found by training where it tells most."""

import textwrap

import torch
from rich.text import Text

from lstm_probe.cli.config import SizeConfig
from lstm_probe.cli.next_step import after_size, show_next
from lstm_probe.core.console import not_shown, out
from lstm_probe.core.numbers import number
from lstm_probe.core.tables import WordTable
from lstm_probe.runs.making import show_remarks
from lstm_probe.sizing.answer import Size, took_words
from lstm_probe.sizing.search import find_size
from lstm_probe.tasks import get_task

WIDTH = 80
_P = ("p_solved", "ci_low", "ci_high")


def run(config: SizeConfig) -> None:
    """Search, and print the answer."""
    torch.set_num_threads(config.threads)
    task = get_task(**config.task)
    show_remarks(task)
    with not_shown("lstm_probe.runs", [line.removeprefix("warning: ") for line in task.remarks]):
        found = find_size(config)
    show_size(found, config.budget)
    show_next(*after_size(found, config.outputs))


def show_size(found: Size, budget: int) -> None:
    """Print how many units a task needs, each target too, what was tried and what it took."""
    _say(f"{found.sentence}.", "bold")
    _say("Needed is the smallest size that half of the trainings solve.")
    if not found.narrow:
        _say(f"The budget of {budget} trainings was spent before the interval was narrow: budget={2 * budget} goes on.")
    out.print()
    if len(found.targets) > 1:
        table = WordTable("target", "needs (95 %)", "fewest that solved it", numbers=("fewest that solved it",))
        for name, one in found.targets.items():
            needs = one.sentence.removeprefix(f"{name}: ")
            table.add_row(name, needs, "none" if one.possible is None else str(one.possible))
        out.print(table)
        out.print()
    numbers = ("units", "tried", "solved", "P(solved)", "seconds")
    table = WordTable(*numbers[:4], "95 %", "seconds", numbers=numbers)
    seconds = found.trials.groupby("units")["seconds"].mean()
    tried = found.curve[found.curve["tried"] > 0]
    for units, of, solved, *ends in zip(*(tried[key] for key in ("units", "tried", "solved", *_P)), strict=True):
        p, low, high = map(number, ends)
        table.add_row(str(units), str(of), str(solved), p, f"{low} to {high}", number(seconds[units], 1))
    out.print(table)
    out.print()
    _say(f"Solved: {_goal(found)} ({found.rule}).")
    _say(f"It took {took_words(found)}.")
    out.print(Text(f"figure and tables: {found.path}"), soft_wrap=True)


def _goal(found: Size) -> str:
    least = {name: f"{score:.3g}" for name, score in found.thresholds.items()}
    if len(set(least.values())) == 1:
        return f"{'every target' if len(least) > 1 else next(iter(least))} at {next(iter(least.values()))} or more"
    return ", ".join(f"{name} at {score}" for name, score in least.items()) + " or more"


def _say(words: str, style: str = "") -> None:
    """Print a sentence in lines that fit any terminal."""
    out.print(Text("\n".join(textwrap.wrap(words, min(WIDTH, out.width))), style))
