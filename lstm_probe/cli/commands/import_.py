"""`import`: a run from weights made elsewhere: recorded, probed, ablated and drawn like one of our own."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from rich.text import Text
from safetensors.torch import save

from lstm_probe.cells.known import cell_of
from lstm_probe.cells.module import GatedRNN
from lstm_probe.cli.config import ImportConfig
from lstm_probe.cli.measuring import measuring_of
from lstm_probe.cli.next_step import after_run, show_next
from lstm_probe.core.console import out
from lstm_probe.core.errors import InputError, clean_line
from lstm_probe.core.files import write_whole
from lstm_probe.core.run_columns import HISTORY_COLUMNS
from lstm_probe.core.seeding import derive_seed
from lstm_probe.core.tables import indented
from lstm_probe.formats import Imported, ImportedModel, load_weights
from lstm_probe.formats.imported import ACTIVATIONS
from lstm_probe.formats.said import in_header
from lstm_probe.network.training import evaluate
from lstm_probe.recorder.backward import BackwardLSTM
from lstm_probe.recorder.initial import note_origin
from lstm_probe.report import print_findings
from lstm_probe.runs.making import Measuring, find_or_make, finish, show_remarks, write_network
from lstm_probe.runs.phases import Phases
from lstm_probe.runs.store import result_config
from lstm_probe.tasks import Task, get_task
from lstm_probe.tasks.drawn import check_drawn
from lstm_probe.tasks.table.table import Table

#: Behind which functions classes are told as by what goes into them: as the largest, by the sign, by the softmax.
_SIGNED = ("sigmoid", "tanh", "softsign", "elu", "selu")
_SCORED_BEFORE = {
    "class": (*_SIGNED, "softplus", "softmax", "log_softmax", "exponential"), "binary": _SIGNED, "multilabel": _SIGNED,
    "next_symbol": ("softmax", "log_softmax"),
}  # fmt: skip
EXAMPLE_INPUTS = 3  # input columns that the advice on a table writes out


def run(config: ImportConfig) -> Path | None:
    """Make the run of a file's network on a task and return its folder; without a task write its weights alone."""
    torch.set_num_threads(config.threads)
    imported = load_weights(
        config.path, layer=config.layer, readout=config.readout, forget_bias=config.forget_bias,
        recurrent_activation=config.recurrent_activation, cell=config.cell,
    )  # fmt: skip
    if config.init is not None:
        note_origin(imported.lstm, config.init)
    for line in found_lines(imported, Path(config.path).name):
        out.print(indented(clean_line(line)))
    if config.task is None:
        for line in write_weights(imported, config):
            whole = line.startswith(("weights", "  lstm-probe"))  # to be copied
            out.print(Text(line) if whole else indented(line), soft_wrap=whole)
        return None
    readout = imported.readout
    task = get_task(**config.task)
    if isinstance(task, Table):
        task = task.for_network(None if readout is None else readout.out_features, imported.last_step)
        config.task = {"name": task.name, **asdict(task)}
    check_inputs(imported, task)
    check_drawn(task)
    reason, activation = outputs_of(imported, task)
    model = imported.with_activation(activation)
    path = Path(config.path).expanduser().resolve()
    resolved = {
        **result_config(config, cell_of(imported.lstm)), "path": str(path), "content": digest_of(path),
        "units": imported.lstm.hidden_size,
        "layers": imported.lstm.num_layers, "projection": imported.lstm.proj_size, "imported": model.shape,
    }  # fmt: skip
    about = {"source": f"{path.name}, {imported.source}", "imported": list(imported.notes)}
    if reason is not None:
        about["not_scored"] = about["not_ablated"] = reason
    measuring = measuring_of(config)
    making = partial(make, config, resolved, measuring, model, task, about)
    run = find_or_make(resolved, making, measuring, outputs=config.outputs, force=config.force)
    findings = print_findings(run)
    show_next(*after_run(run, findings))
    return run.path


def digest_of(path: Path) -> str | None:
    """Return the SHA-256 of a file's bytes; None for a checkpoint of several files."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def found_lines(imported: Imported, file: str) -> Iterator[str]:
    """Go through what is said of a file: the network in it, and what was converted."""
    lstm = imported.lstm
    yield f"{file}: {imported.source}"
    each = f" in each of {lstm.num_layers} layers" if lstm.num_layers > 1 else ""
    what = f"{lstm.hidden_size} units{each}" + (", in two directions" if lstm.bidirectional else "")
    inputs = f"{lstm.input_size} inputs" if imported.embedding is None else (
        f"tokens 0 to {imported.embedding.num_embeddings - 1} as {lstm.input_size} inputs"
    )  # fmt: skip
    projection = f", h of {lstm.proj_size}" if lstm.proj_size else ""
    n = 0 if imported.readout is None else imported.readout.out_features
    readout = f"{n} output{'s' if n > 1 else ''}" if n else "no readout"
    yield f"  {what}{projection}; {inputs}; {readout}" + (f", {imported.activation}" if imported.activation else "")
    yield from (f"  {note}" for note in imported.notes)


def write_weights(imported: Imported, config: ImportConfig) -> Iterator[str]:
    """Write the weights alone, and go through what is said of that: where they are, and how to measure them."""
    name = config.name or Path(config.path).name.partition(".")[0]
    path = Path(config.outputs) / "imported" / f"{name}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    network = imported.with_activation(imported.activation if imported.activation in ACTIVATIONS else None)
    write_whole(path, save(network.state_dict(), in_header(network)))
    yield f"weights as PyTorch names them: {path}"
    if isinstance(imported.lstm, GatedRNN):
        cell, more = imported.lstm.cell.name, ", backward=True" * imported.lstm.backward
        yield f"PyTorch has no such module: lstm_probe.cells.GatedRNN(cell={cell!r}{more}) has them."
    if isinstance(imported.lstm, BackwardLSTM):
        yield "It reads each sequence from its end: give an nn.LSTM the steps in reverse order."
    n = 1 if imported.embedding is not None else imported.lstm.input_size
    columns = [f"x_{k}" for k in range(1, min(n, EXAMPLE_INPUTS) + 1)]
    columns += [f"... x_{n}"] if n > EXAMPLE_INPUTS else []
    yield ""
    yield "No task was given, so nothing was measured. To see what each unit remembers, give sequences:"
    yield f"  lstm-probe import path={config.path} task=table task.path=data.csv"
    yield (
        f"data.csv: one row for each step, with columns sequence, {', '.join(columns)}, and signal_<name> for "
        "whatever its units may track; y_<name> for what it should output. More: lstm-probe tasks name=table"
    )


def check_inputs(imported: Imported, task: Task) -> None:
    """Raise an InputError unless the task's inputs are what the network reads, at every real step."""
    names = ", ".join(task.input_names[:8]) + (" ..." if task.n_inputs > 8 else "")
    reads = imported.lstm.input_size
    if imported.embedding is None:
        if task.n_inputs != reads:
            more = "; name them with task.input_columns=[...]" if isinstance(task, Table) else ""
            has = f"task={task.name}: has {task.n_inputs} inputs ({names})"
            raise InputError(f"{has}; the network reads {reads}{more}.")
        check_skipped(imported, task)
        return
    tokens = imported.embedding.num_embeddings
    if task.n_inputs != 1:
        raise InputError(
            f"task={task.name}: has {task.n_inputs} inputs ({names}); the network reads one column of tokens."
        )
    values = task.sample(512).inputs
    if (values != values.round()).any() or values.min() < 0 or values.max() >= tokens:
        raise InputError(f"task={task.name}: {names} must be tokens: whole numbers from 0 to {tokens - 1}.")
    check_skipped(imported, task)


def check_skipped(imported: Imported, task: Task) -> None:
    """Raise an InputError where the network skips a step that is real for the task."""
    if imported.skips is None:
        return
    batch = task.sample(512)
    if (batch.mask & ~imported.model.real_steps(batch.inputs)).any():
        what = f"{'all inputs are' if imported.embedding is None else 'the token is'} {imported.skips.value:g}"
        raise InputError(f"task={task.name}: {what} at some step; the network skips such steps: leave them out.")


def outputs_of(imported: Imported, task: Task) -> tuple[str | None, str | None]:
    """Return why the network's outputs cannot be scored on a task's targets, None if they can; and what the run's
    network applies to them: what the file does, where targets are numbers. Classes are scored without, where that tells
    the same ones."""
    if imported.readout is None:
        why = imported.untaken or f"the file has none of its {cell_of(imported.lstm).title}"
        return f"no readout was taken, as {why}", None
    if imported.not_scored is not None:
        return imported.not_scored, None
    if imported.last_step and imported.lstm.bidirectional and not counts_at_the_end(task):
        return "the network gives an output at the end of a sequence alone, and targets count at other steps", None
    n, names = imported.readout.out_features, ", ".join(target.name for target in task.targets)
    if n != task.n_outputs:
        wanted = f"the targets ({names}) need {task.n_outputs}" if names else "there are no targets"
        return f"the network has {n} output{'s' if n > 1 else ''}, and {wanted}", None
    losses = {target.loss for target in task.targets}
    activation = imported.activation
    if activation is None:
        return None, None
    if "regression" not in losses:
        if all(activation in _SCORED_BEFORE[loss] for loss in losses):
            return None, None
        return f"its outputs go through {activation}, and what goes into it does not tell which class they say", None
    if len(losses) > 1:
        return f"targets are numbers and classes, and all outputs go through one {activation}", None
    if activation not in ACTIVATIONS:
        return f"its outputs go through {activation}, which is not supported here", None
    return None, activation


def counts_at_the_end(task: Task) -> bool:
    """Return whether targets count at the last step of each sequence alone."""
    batch = task.sample(512)
    last = torch.arange(batch.inputs.shape[1]) == batch.lengths.unsqueeze(1) - 1
    return all(not (batch.scored_steps(target.name) & ~last).any() for target in task.targets)


def make(
    config: ImportConfig, resolved: Mapping[str, Any], measuring: Measuring, model: ImportedModel, task: Task,
    about: Mapping[str, Any], folder: Path, name: str,
) -> None:  # fmt: skip
    """Make all files of the run in a folder."""
    show_remarks(task)
    phases, scores = Phases(), {}
    with phases("test", "testing"):
        if "not_scored" not in about:
            scores = evaluate(model, task.sample(config.test_sequences, derive_seed(config.seed, "test")))
        rows = [[0, "test", t.name, t.metric, scores[t.name], 0.0, 0.0] for t in task.targets if scores]
        pd.DataFrame(rows, columns=list(HISTORY_COLUMNS)).to_parquet(folder / "history.parquet", index=False)
        write_network(folder, model, task, config.seed)
    about = {"run": name, "device": "cpu", "steps_done": 0, "scores": scores, **about}
    finish(folder, model, task, phases, about, resolved, measuring)
