"""The page that answers what num_units means and how many are needed: figures drawn, all of it laid out."""

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from lstm_probe.core.anatomy import Anatomy
from lstm_probe.core.vocabulary import VARIABLE_MEANINGS
from lstm_probe.figures import (
    anatomy_figure,
    capacity_curves,
    recall_law,
    save,
    size_search,
    traces,
    units_overview,
    used_over_sizes,
)
from lstm_probe.figures.coloured_text import coloured_text
from lstm_probe.findings import need_words, words
from lstm_probe.report.drawing import unit_order
from lstm_probe.report.pictures import picture
from lstm_probe.report.templating import environment, write
from lstm_probe.reproduce import NUM_UNITS, SIZES
from lstm_probe.reproduce.num_units import layer
from lstm_probe.reproduce.num_units.answer import QUESTION, Answer
from lstm_probe.reproduce.num_units.onward import command
from lstm_probe.runs.examples import trace_table
from lstm_probe.runs.run import Run
from lstm_probe.tasks.base import LARGEST

#: The larger layer that is drawn beside the small one.
LARGER = 32


def write_answer(told: Answer) -> Path:
    """Write the page and its figures into `outputs`/reproduce/num_units; return the page's path."""
    folder = told.material.outputs / "reproduce" / NUM_UNITS
    pictures = {name: {**picture(_saved(draw(), folder / "figures" / name), alt), "file": f"figures/{name}"}
                for name, (draw, alt) in _figures(told).items()}  # fmt: skip
    inputs = told.network.run.task.n_inputs
    counts = layer.counts(inputs, told.material.sizes)
    page = environment().get_template("answer.html").render(
        question=QUESTION, told=told, pictures=pictures, words=words, needs=need_words, variables=VARIABLE_MEANINGS,
        tried=layer.tried_words(layer.tried()), mistaken=layer.MISTAKEN, shapes=layer.shapes(),
        first_words=layer.first_words(), written=layer.written(), formula=layer.formula(), counts=counts,
        count_words=layer.count_words(counts), inputs=inputs, small=(layer.UNITS, layer.INPUTS), larger=LARGER,
        batch=(layer.SEQUENCES, layer.STEPS), commands=_commands(told), link=partial(_link, folder),
        seconds=_seconds(told), versions=told.network.run.info["versions"],
    )  # fmt: skip
    return write(folder / "index.html", page)


def _saved(figure: Figure, path: Path) -> Path:
    save(figure, path)
    return path


def _figures(told: Answer) -> dict[str, tuple[Callable[[], Figure], str]]:
    """Return, for each figure, what draws it, and what it shows."""
    one, every, needed = told.network, told.sizes, told.needed
    run, size = one.run, needed.size
    inputs = run.task.n_inputs
    found: dict[str, tuple[Callable[[], Figure], str]] = {
        "anatomy": _anatomy(Anatomy(layer.UNITS, layer.INPUTS)), "anatomy-larger": _anatomy(Anatomy(LARGER, inputs)),
        "units": (partial(_overview, run), _overview_alt(told, run)),
        "traces": (lambda: traces(trace_table(run.examples, run.probes), order=unit_order(run)),
                   "Each signal in an example sequence, and the memory of the unit that tells most of it, step by "
                   f"step. {' '.join(one.follows)}"),
        "sizes": (partial(capacity_curves, every.table, every.each),
                  f"Scores, followed signals and needed units of each network against its units. "
                  f"{'; '.join(every.outcomes[1:])}."),
        "law": (partial(recall_law, needed.recalled),
                f"The share that each network said again, against its units, below the line of what is possible. "
                f"{' '.join(needed.law[:-1])}"),
        "search": (lambda: size_search(size.curve, size.trials, units=size.units, low=size.low, high=size.high),
                   f"How often a training with so many units is expected to do the task, with a band, and a dot for "
                   f"each training. {size.sentence}."),
    }  # fmt: skip
    if len(every.used_table):
        found["used"] = (partial(used_over_sizes, every.used_table), f"Used units against all units. {every.used}")
    if len(told.source.text):
        found["text"] = (partial(coloured_text, told.source.text),
                         "Python source that the network was not trained on, once for each unit, each character "
                         f"coloured by the unit's memory. {told.source.gist}")  # fmt: skip
    for row in every.rows:
        first = row.runs[0]
        found[f"units-{row.units}"] = (partial(_overview, first), _overview_alt(told, first))
    return found


def _anatomy(of: Anatomy) -> tuple[Callable[[], Figure], str]:
    alt = (
        f"A layer of {of.units} units: {of.inputs} inputs and all {of.units} outputs of the step before go to every "
        "unit; one unit opened, with its four gates and its memory; its rows of the weights; what has which shape."
    )
    return partial(anatomy_figure, of), alt


def _overview(run: Run) -> Figure:
    return units_overview(run.probes, run.ablations, memory=run.memory)


def _overview_alt(told: Answer, run: Run) -> str:
    row = next(row for row in told.sizes.rows if row.units == run.info["units"])
    gist = next(line for one, line in row.gists if one is run)
    return f"A row for each of {row.words}: what its memory tells of each signal, what clamping it costs. {gist}"


def _link(folder: Path, run: Run) -> str:
    """Return where a run's own page is, as seen from this one; empty where there is none."""
    page = run.path / "report.html"
    return Path(os.path.relpath(page, folder)).as_posix() if page.is_file() else ""


def _commands(told: Answer) -> dict[str, Any]:
    """Return the commands that make what is shown."""
    material, outputs = told.material, told.material.outputs
    run, task = told.network.run, told.network.run.info["task"]
    here = partial(command, outputs=outputs)
    seeds, largest = sorted({one.info["seed"] for one in material.runs}), told.needed.size.largest
    sizes = (f"units={','.join(map(str, material.sizes))}", f"seed={','.join(map(str, seeds))}")
    same = tuple(material.sizes) == SIZES and seeds == [0, 1, 2]
    return {
        "anatomy": here("describe", f"units={layer.UNITS}", f"inputs={layer.INPUTS}"),
        "larger": here("describe", f"units={LARGER}", f"inputs={run.task.n_inputs}"),
        "task": here("tasks", f"name={task}"),
        "run": here("train", f"units={run.info['units']}", f"seed={run.info['seed']}"),
        "runs": {row.units: here("train", f"units={row.units}", f"seed={row.runs[0].info['seed']}")
                 for row in told.sizes.rows},
        "sweep": here("train", f"experiment={NUM_UNITS}", *(() if same else sizes)),
        "report": here("report"),
        "law": here("reproduce", "name=recall"),
        "size": here("size", f"task={task}", *([f"largest={largest}"] if largest != LARGEST else [])),
        "own": here("size", "task=table", "task.path=data.csv"),
        "source": here("train", "experiment=python_source"),
        "page": here("reproduce", f"name={NUM_UNITS}", *(() if same else _given(material.sizes, len(seeds)))),
    }  # fmt: skip


def _given(sizes: Sequence[int], seeds: int) -> tuple[str, str]:
    return f"sizes=[{','.join(map(str, sizes))}]", f"seeds={seeds}"


def _seconds(told: Answer) -> float:
    """Return how long all that the page is made of took to compute."""
    material = told.material
    runs = sum(sum(run.info["seconds"].values()) for run in material.networks)
    return float(runs + sum(material.law.seconds.values()) + material.size.seconds)
