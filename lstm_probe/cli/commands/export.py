"""`export`: a finished run's network as a file that PyTorch, Keras or onnxruntime run without lstm_probe.

What is heavy is imported when the run has been found, so that a wrong folder is refused at once.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from rich.text import Text

from lstm_probe.cli.config import ExportConfig
from lstm_probe.core.console import out
from lstm_probe.core.errors import InputError, clean_line
from lstm_probe.core.files import check_writable
from lstm_probe.core.tables import indented
from lstm_probe.core.vocabulary import EXPORTED
from lstm_probe.runs.run import Run, load_run

SEQUENCES = 64  # drawn from the run's task, to have some of its longest among them


def run(config: ExportConfig) -> None:
    """Write the run's network, compared with itself on sequences of its task, and say where it is."""
    format = format_of(config)
    exported = load_run(config.run)
    with place_of(config, exported, format) as path:
        import torch

        from lstm_probe.core.seeding import derive_seed
        from lstm_probe.formats.write.checked import checked_export

        torch.set_num_threads(config.threads)
        batch = exported.task.sample(SEQUENCES, derive_seed(exported.config["seed"], "export data"))
        made = checked_export(exported.model, batch, path, format=format)
    what = f"{exported.name}, for {format}: {made.paths[0]}"
    if len(made.paths) > 1:
        what += f", and {made.paths[1].name} beside it, whose load() returns the module"
    notes = [made.words, *read_and_given(exported)]
    if imported := exported.info.get("imported"):
        notes.append(f"When it was imported from {exported.info.get('source', 'its file')}:")
        notes += [f"  {note}" for note in imported]
    out.print(Text(clean_line(what)), soft_wrap=True)
    for note in notes:
        out.print(indented(f"  {clean_line(note)}"))


def read_and_given(run: Run) -> Iterator[str]:
    """Go through what is said of the order of a file's inputs and outputs."""
    yield f"Inputs, in this order: {some(run.task.input_names)}."
    if reason := run.info.get("not_scored"):
        yield f"Outputs are those of the network's own readout, or h where it has none; they were not scored: {reason}."
    else:
        given = (t.name + (f" ({t.size})" if t.size > 1 else "") + " as logits" * (t.loss != "regression")
                 for t in run.task.targets)  # fmt: skip
        yield f"Outputs, in this order: {some(tuple(given))}."
    yield from (line for line in run.task.coded if not reason or line.startswith("Input "))


def some(names: Sequence[str], most: int = 12) -> str:
    """Return the first of many names."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def format_of(config: ExportConfig) -> str:
    """Return the format that was asked for, or the one of the path's ending; an InputError where there is neither."""
    if config.format is not None:
        return config.format
    found = [format for format, ending in EXPORTED.items() if Path(config.path or "").suffix == ending]
    if not found:
        where = "" if config.path is None else f"path={config.path}: does not say what it is for; "
        raise InputError(f"{where}format: a value is missing; it must be one of {', '.join(EXPORTED)}.")
    return found[0]


@contextmanager
def place_of(config: ExportConfig, run: Run, format: str) -> Iterator[Path]:
    """Yield where the file goes; a folder of our own is there from now on, and gone again where nothing is in it."""
    if config.path is not None:
        path = Path(config.path).expanduser()
        if path.resolve().is_relative_to(run.path.resolve()):
            raise InputError(f"path={config.path}: is in the run's own folder, which stays as it was made")
        yield path
        return
    folder = Path(config.outputs) / "exports"
    check_writable(folder, "outputs")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield folder / f"{run.name}{EXPORTED[format]}"
    finally:
        with suppress(OSError):
            for empty in (folder, folder.parent):
                empty.rmdir()
