"""Answers of searches in the run store: `outputs/sizes/<task>/<hash>/`, whole or not there.

`answer.json` has the question, the answer and the SHA-256 of every other file: the trainings, the scores and the curves
as tables, the figure, and which of the runs the search made. <hash> is of the question, so that the same search finds
its answer.
"""

import io
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pandas as pd

from lstm_probe.core.digests import (
    LARGEST_JSON,
    DamagedError,
    are_files,
    digests_of,
    read_regular,
    read_told,
    sealed,
    unsealed,
)
from lstm_probe.core.errors import InputError, clean
from lstm_probe.core.fields import default_of, text
from lstm_probe.core.files import write_whole
from lstm_probe.runs.merging import copy_whole
from lstm_probe.runs.store import claim, config_hash, publish
from lstm_probe.sizing.answer import Size, Smallest
from lstm_probe.sizing.settings import SizeSettings
from lstm_probe.tasks import TASKS, complete_task

SCHEMA = 1
ANSWER, FIGURE = "answer.json", "size"
_OWN = ("units", "low", "high", "possible", "sentence")
_TOLD = ("task", "largest", "thresholds", "rule", "narrow", "trained", "seconds")


@dataclass(frozen=True)
class Stored:
    """An answer in the store, and the question that it answers: what all its runs share, `largest` and the like."""

    size: Size
    question: Mapping[str, Any]


def store(found: Size, partial: Path, question: Mapping[str, Any]) -> None:
    """Put an answer into its place, unless the same is there.

    Args:
        found: the answer; its `path` is the place.
        partial: the folder in which it is made.
        question: what the place is called by.
    """
    from lstm_probe.figures import save, size_search

    if found.path.exists() and _same(found):
        shutil.rmtree(partial)
        return
    told = {"answer": {key: getattr(found, key) for key in (*_OWN, *_TOLD)},
            "targets": {name: {key: getattr(one, key) for key in _OWN}
                        for name, one in found.targets.items()}}  # fmt: skip
    curves = pd.concat([found.curve, *(one.curve for one in found.targets.values())], ignore_index=True)
    tables = {"trials": found.trials, "scores": found.scores, "curve": curves}
    for name, table in tables.items():
        content = io.BytesIO()
        table.to_parquet(content, index=False)
        write_whole(partial / f"{name}.parquet", content.getvalue())
    save(size_search(found.curve, found.trials, units=found.units, low=found.low, high=found.high), partial / FIGURE)
    about = {"schema": SCHEMA, "question": question, **told, "files": digests_of(partial)}
    write_whole(partial / ANSWER, sealed(about))
    publish(partial, found.path)


def _same(found: Size) -> bool:
    """Return whether the answer that is there is the same."""
    try:
        there = load_size(found.path)
    except InputError:
        return False
    alike = all(getattr(there, key) == getattr(found, key) for key in (*_OWN, *_TOLD))
    return alike and there.trials.equals(found.trials)


def load_size(folder: Path) -> Size:
    """Return a stored answer.

    Raises:
        InputError: it is damaged, or made by a newer version.
    """
    try:
        about = unsealed(read_regular(folder / ANSWER, LARGEST_JSON))
        if about["schema"] > SCHEMA:
            raise InputError(f"{folder}: made by a newer version (schema {about['schema']}); update lstm_probe")
        files = about["files"]
        if not are_files(files) or "digest" not in about or folder.name != config_hash(about["question"]):
            raise ValueError("not the question that the folder is named after")
        trials, scores, curves = (
            pd.read_parquet(io.BytesIO(read_told(folder, f"{name}.parquet", files)))
            for name in ("trials", "scores", "curve")
        )
        targets = {name: Smallest(**own, curve=curves[curves["target"] == name].reset_index(drop=True))
                   for name, own in about["targets"].items()}  # fmt: skip
        curve = curves[: len(curves) // (1 + len(targets))]
        return Size(**about["answer"], curve=curve, trials=trials, scores=scores, targets=targets, path=folder)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{folder}: damaged ({str(error).splitlines()[0] if str(error) else type(error).__name__}); "
                         "delete it, and the same search makes it again from its runs") from error  # fmt: skip


def stored_sizes(outputs: Path, task: str = "*") -> tuple[list[Stored], list[str]]:
    """Return the answers that are in a store, by task, and a line for each that is damaged.

    Args:
        outputs: the folder that holds `sizes/`.
        task: of which task; "*" for every task.
    """
    found: list[Stored] = []
    damaged: list[str] = []
    for file in sorted((outputs / "sizes").glob(f"{task}/[!.]*/{ANSWER}")):
        try:
            size = load_size(file.parent)
            found.append(Stored(size, unsealed(read_regular(file, LARGEST_JSON))["question"]))
        except InputError as error:
            damaged += error.problems
    return found, damaged


def merge_sizes(other: Path, outputs: Path) -> tuple[list[Path], list[str]]:
    """Copy another store's answers that are not here; return their places, and a line for each that is damaged."""
    found, damaged = stored_sizes(other)
    copied = []
    for one in found:
        place = outputs / "sizes" / one.size.task / one.size.path.name
        with claim(place):
            if not place.exists():
                try:
                    copy_whole(place, _files(one.size.path))
                    copied.append(place)
                except DamagedError as error:
                    damaged.append(f"{one.size.path}: damaged ({error}); not copied")
    return copied, damaged


def _files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Go through names and bytes of an answer's files, each as it was written."""
    content = read_regular(folder / ANSWER, LARGEST_JSON)
    files = unsealed(content)["files"]
    for name in files:
        yield name, read_told(folder, name, files)
    yield ANSWER, content


def stored_names(found: Sequence[Stored]) -> list[str]:
    """Return what answers are called: by their task, and by what of the question is not at its default."""
    defaults: dict[str, Any] = {f.name: default_of(f) for f in fields(SizeSettings)}
    names = []
    for one in found:
        given = dict(one.question)
        task = given.pop("task")
        usual = (complete_task({"name": task["name"]}) if task["name"] in TASKS else None) or {}
        other = {f"task.{key}": value for key, value in task.items() if key != "content" and value != usual.get(key)}
        other |= {key: value for key, value in given.items() if key in defaults and value != defaults[key]}
        told = [f"{key}={Path(value).name if key == 'task.path' else text(value)}" for key, value in other.items()
                if key != "task.name"]  # fmt: skip
        names.append(clean(", ".join([task["name"], *told])))
    return names
