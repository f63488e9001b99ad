"""Two stores become one: every whole run of the other one that is not here is copied, and so are its analyses.

A run is copied into a hidden folder under its place's lock and renamed when all of it is on the disk, so that a merge
that was interrupted leaves nothing half, and the same one goes on. Nothing that is here is changed.
"""

import glob
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lstm_probe.core.console import counted
from lstm_probe.core.digests import read_regular, read_told
from lstm_probe.core.errors import InputError
from lstm_probe.runs.again import ABOUT, read_about
from lstm_probe.runs.analyses import ANALYSES
from lstm_probe.runs.checking import check_folder
from lstm_probe.runs.run import Run, open_run
from lstm_probe.runs.store import claim, publish

#: At the end of the hidden name of a folder into which something is copied.
MERGING = ".merging"
MODEL = "model.safetensors"


@dataclass(frozen=True)
class Merged:
    """What a merge did.

    Attributes:
        copied: places of runs that were not here.
        there: those that were here already, with the same network and the same tables.
        added: places of analyses that were added to runs that were here.
        kept: a line for each run that is here with other content, which stays.
        left_out: a line for each damaged file of the other store, whose run or analysis was not copied.
    """

    copied: list[Path] = field(default_factory=list)
    there: list[Path] = field(default_factory=list)
    added: list[Path] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def merge_stores(runs: Sequence[Run], outputs: Path) -> Merged:
    """Copy runs of another store, and the analyses made of them, into this one.

    Args:
        runs: finished ones, of the other store. Each file is compared with its digest while it is copied.
        outputs: the folder that holds this store's `runs/`.

    Raises:
        OSError: a full disk and the like; what was copied until then is whole, and stays.
    """
    merged = Merged()
    for run in counted(runs, "merging runs"):
        place = outputs / "runs" / run.info["task"] / run.name
        if place.exists() and place.resolve() == run.path.resolve():
            merged.there.append(place)
            continue
        if run.files is None:
            merged.left_out.append(f"{run.path}: made before there were digests; copy it by hand if you trust it")
            continue
        with claim(place):
            if place.exists():
                _unite(run, place, merged)
            elif problems := check_folder(run.path).problems:
                merged.left_out.extend(problems)
            else:
                copy_whole(place, _files_of(run))
                merged.copied.append(place)
    return merged


def _files_of(run: Run) -> Iterator[tuple[str, bytes]]:
    """Go through names and bytes of a run's files, its analyses' among them, each as it was written."""
    assert run.files is not None
    for name in run.files:
        yield name, run.read(name, bytes)
    yield "run.json", read_regular(run.path / "run.json")
    for folder in _analyses(run.path):
        for name, content in _files_of_analysis(folder):
            yield f"analyses/{folder.name}/{name}", content


def _analyses(place: Path) -> list[Path]:
    return sorted(path for path in (place / "analyses").glob("[!.]*") if path.is_dir())


def _files_of_analysis(folder: Path) -> Iterator[tuple[str, bytes]]:
    files = read_about(folder)["files"] or {}
    for name in files:
        yield name, read_told(folder, name, files)
    yield ABOUT, read_regular(folder / ABOUT)


def copy_whole(place: Path, files: Iterator[tuple[str, bytes]]) -> None:
    """Write files into a hidden folder, and rename it into its place when it is whole."""
    for left in place.parent.glob(f".{glob.escape(place.name)}.*{MERGING}"):
        shutil.rmtree(left, ignore_errors=True)
    # A name of its own: whoever stood still, and lost the place meanwhile, doesn't write into the next one's folder.
    partial = place.with_name(f".{place.name}.{os.urandom(4).hex()}{MERGING}")
    try:
        for name, content in files:
            (partial / name).parent.mkdir(parents=True, exist_ok=True)
            (partial / name).write_bytes(content)
        publish(partial, place)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _unite(run: Run, place: Path, merged: Merged) -> None:
    """Add what analyses of a run are not here yet; of the run itself say whether it is the one that is here."""
    try:
        here = open_run(place)
    except InputError as error:
        merged.kept.append(
            f"{' '.join(error.problems)} (kept as it is; delete {place}, and the merge brings the other)"
        )
        return
    other = _differing(run, here)
    if other:
        more = f" and {len(other) - 5} more" if len(other) > 5 else ""
        merged.kept.append(f"{place}: another one is here, made elsewhere or measured otherwise "
                           f"({', '.join(other[:5])}{more} differ); kept as here")  # fmt: skip
    else:
        merged.there.append(place)
    if MODEL in other:  # its analyses are of another network
        return
    for folder in _analyses(run.path):
        own = place / "analyses" / folder.name
        if own.exists():
            continue
        try:
            with claim(own):
                copy_whole(own, _files_of_analysis(folder))
            merged.added.append(own)
        except ValueError as error:  # damaged
            merged.left_out.append(f"{folder}: damaged ({error}); not copied")


def _differing(run: Run, here: Run) -> list[str]:
    """Return the files in which two runs of one name differ: the network, and tables of analyses.

    History and log have the seconds that a training took, and pages are drawn: they always differ.
    """
    decisive = [MODEL, *(analysis.file for analysis in ANALYSES.values())]
    one, other = run.files or {}, here.files or {}
    return [name for name in decisive if one.get(name, {}).get("sha256") != other.get(name, {}).get("sha256")]
