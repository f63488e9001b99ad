"""The next useful commands: one or two, chosen by what was found, each on a line of its own, to be copied."""

import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from lstm_probe.core.console import out
from lstm_probe.core.fields import in_quotes, text

if TYPE_CHECKING:
    from lstm_probe.findings.evidence import Findings
    from lstm_probe.runs.run import Run
    from lstm_probe.sizing.answer import Size

#: What makes a text several values, a list or a dictionary on the command line.
NO_TEXT = r"^[\[{]|,"

#: What it is for, and the command; None for a command that cannot be told.
Step = tuple[str, str | None]


def command(name: str, /, *flags: str, **settings: Any) -> str:
    """Return a command to type, fit for a shell; settings as they are when nothing is said are left out.

    >>> command("probe", run="my runs/u2", card="1"), command("report", outputs="outputs")
    ("lstm-probe probe 'run=my runs/u2' card=1", 'lstm-probe report')
    >>> command("report", outputs="a,b")
    'lstm-probe report \\'outputs="a,b"\\''
    """
    given = [(key, str(value) if isinstance(value, Path) else value) for key, value in settings.items()]
    words = [f"{key}={in_quotes(value) if isinstance(value, str) and re.search(NO_TEXT, value) else text(value)}"
             for key, value in given if (key, value) != ("outputs", "outputs")]  # fmt: skip
    return shlex.join(["lstm-probe", name, *flags, *words])


def on_run(name: str, run: "Run", **settings: Any) -> str | None:
    """Return a command on a run, with what finds a task or a cell of the user's own; None where nothing does."""
    from lstm_probe.runs.flags import own_flags

    flags, cell = own_flags(run), run.info.get("cell", "")
    own = {"own_cell": cell} if ":" in cell.split("+")[0] else {}
    return None if flags is None else command(name, *flags, run=run.path, **settings, **own)


def show_next(*steps: Step) -> None:
    """Print what each command is for, and below it the command, which no line break tears."""
    told = [(words, line) for words, line in steps if line is not None]
    if told:
        out.print()
    for words, line in told:
        out.print(Text(words))
        out.print(Text(f"  {line}"), soft_wrap=True)


def plain(label: str) -> str:
    """Return a unit's label as one types it: 1.3 is unit 3 of layer 1, and < marks the reverse direction."""
    return label.replace("·", ".").replace("←", "<")


def after_run(run: "Run", findings: "Findings | None") -> Iterator[Step]:
    """Go through what to do with a new run: what was not learned needs more training or another size."""
    verdict = findings.verdict if findings is not None else None
    if verdict is not None and verdict.lost and run.trained:
        from lstm_probe.sizing.command import size_commands, train_command, usual_of

        longer = max(2 * run.config["steps"], usual_of(run, "steps"))  # twice next to nothing teaches nothing, either
        yield "It did not learn its task. To train longer:", train_command(run, steps=longer)
        yield "To find how many units the task needs:", next(iter(size_commands([run]).values()), None)
        return
    yield from card_of(run, findings)
    yield from figures_of(run)


def unusual(run: "Run", settings: Mapping[str, Any], seed: int | None = None) -> dict[str, Any]:
    """Return the keys of probing that are not as they are when nothing else is said.

    Without them, `probe` would measure the run anew, in another way than what was just shown.
    """
    from lstm_probe.runs.settings import complete, of_cell

    usual, own = (of_cell("probe", values, run.cell) for values in (complete("probe", {}), settings))
    keys = {f"probe.{key}": own[key] for key in usual if key != "analyses" and own[key] != usual[key]}
    return keys if seed in (None, run.config["seed"]) else keys | {"seed": seed}


def card_of(run: "Run", findings: "Findings | None", given: Mapping[str, Any] | None = None) -> Iterator[Step]:
    """Go through the command for the card of the unit that costs most, or else of the one that tracks best.

    `given` are the keys of probing, from `unusual`, that the findings come from; None: the run's own.
    """
    own = unusual(run, run.settings("probe")) if given is None else given
    units = [] if findings is None else list(findings.units)
    if costly := [unit for unit in units if unit.costs]:
        unit = max(costly, key=lambda one: one.costs[0].loss)
        yield "All about the unit that costs most:", on_run("probe", run, card=plain(unit.label), **own)
    elif best := [(unit.best.effect, unit.label) for unit in units if unit.best is not None]:
        yield "All about the unit that tracks best:", on_run("probe", run, card=plain(max(best)[1]), **own)
    elif units:
        tested = findings is not None and any(fact.testable for fact in findings.signals)
        none = "No unit was found to track a signal." if tested else "No signal could be tested."
        yield f"{none} How memories are held and read:", on_run("dynamics", run)


def figures_of(run: "Run") -> Iterator[Step]:
    """Go through the command for a run's figures at a journal's width."""
    yield "Its figures for a paper:", on_run("figures", run, style="paper")


def after_ablating(run: "Run", findings: "Findings | None") -> Iterator[Step]:
    """Go through what to do where units are not needed, or else with those that cost."""
    from lstm_probe.causal.status import NOT_NEEDED

    if findings is not None and any(unit.needed == NOT_NEEDED for unit in findings.units):
        yield "A smaller network without the units that are not needed:", on_run("shrink", run)
    else:
        yield from card_of(run, findings)


def after_size(found: "Size", outputs: str) -> Iterator[Step]:
    """Go through the command that trains a network of the size that was found, and measures it."""
    if found.units is None or found.trials.empty:
        return
    from lstm_probe.runs.run import load_run
    from lstm_probe.sizing.command import train_command

    name = found.trials.sort_values("units")["run"].iloc[0]
    run = load_run(Path(outputs) / "runs" / found.task / str(name))
    yield "What the units of such a network remember:", train_command(run, units=found.units, seed=0)
