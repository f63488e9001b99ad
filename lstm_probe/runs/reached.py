"""What a run that is being made has reached: none of it is made again after an interruption.

The trained network, and each table, is written into the run's hidden folder as soon as it is made. A list beside them
says on what basis each step was done, and has the digests of its files. It is written before the files, so that a step
is done from the moment at which the last of its files stands in its place. A step of any other basis, or whose files
are not what was written, is done anew. The list never comes into a finished run: see `publish_folder`.
"""

import hashlib
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lstm_probe.core.digests import LARGEST_JSON, DamagedError, are_files, read_regular, read_told, sealed, unsealed
from lstm_probe.core.errors import clean
from lstm_probe.core.files import PARTIAL, write_whole

log = logging.getLogger(__name__)

CHECKPOINT = "checkpoint.pt"
LOG = "train.log"
LIST = f".reached{PARTIAL}"


class Warned(logging.Handler):
    """Keeps what was warned of, each sentence once."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a warning."""
        line = clean(record.getMessage())
        if line not in self.lines:
            self.lines.append(line)

    def taken(self) -> list[str]:
        """Return what was warned of since the last call."""
        lines, self.lines = self.lines, []
        return lines


@contextmanager
def listening() -> Iterator[Warned]:
    """Keep what the package warns of in this context."""
    logger, warned = logging.getLogger("lstm_probe"), Warned()
    logger.addHandler(warned)
    try:
        yield warned
    finally:
        logger.removeHandler(warned)


class Reached:
    """The steps that were done so far of the run that is made in a folder.

    Args:
        folder: the run's hidden one. A list in it that is damaged counts as none.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._steps: dict[str, dict[str, Any]] = {}
        if not os.path.lexists(folder / LIST):
            return
        try:
            content = unsealed(read_regular(folder / LIST, LARGEST_JSON))
            if "digest" not in content:
                raise DamagedError("it has no digest")
            if not all(are_files(step["files"]) for step in content["steps"].values()):
                raise DamagedError("its files are none")
            self._steps = content["steps"]
        except (DamagedError, KeyError, TypeError, AttributeError) as error:
            log.warning("%s: damaged (%s); what it lists is made anew", folder / LIST, error)
            remove(folder / LIST)

    def get(self, name: str, basis: str) -> dict[str, Any] | None:
        """Return what is to be known of a step, its warnings said again; None where it has to be done.

        Args:
            name: of the step.
            basis: on which it has to be done, a hash.
        """
        step = self._steps.get(name)
        if step is None or step["basis"] != basis:
            return None
        for file in step["files"]:
            try:
                read_told(self.folder, file, step["files"])
            except DamagedError as error:
                if os.path.lexists(self.folder / file):
                    log.warning("%s: damaged (%s); it is made anew", self.folder / file, error)
                return None
        for line in step["warnings"]:
            log.warning("%s", line)
        about: dict[str, Any] = step["about"]
        return about

    def add(
        self, name: str, basis: str, files: Mapping[str, bytes], about: Mapping[str, Any], warnings: list[str]
    ) -> None:
        """Write the files of a step that was done; whole or not at all, each.

        Args:
            name: of the step.
            basis: on which it was done.
            files: their contents, by name.
            about: what else is to be known of it; goes into JSON.
            warnings: what was warned of meanwhile.
        """
        for file in files:
            remove(self.folder / file)
        told = {file: {"sha256": hashlib.sha256(own).hexdigest(), "bytes": len(own)} for file, own in files.items()}
        self._steps[name] = {"basis": basis, "files": told, "about": dict(about), "warnings": warnings}
        # Not waited for until it is on the disk: after a machine has died, the digests say what came there.
        write_whole(self.folder / LIST, sealed({"steps": self._steps}), lasting=False)
        for file, content in files.items():
            write_whole(self.folder / file, content, lasting=False)

    def forget(self, name: str) -> None:
        """Remove the files of a step that is not wanted."""
        for file in self._steps.pop(name, {"files": ()})["files"]:
            remove(self.folder / file)

    def clear_away(self) -> None:
        """Remove whatever else an earlier attempt left in the folder, but for its checkpoints and its log."""
        ours = {LIST, LOG, *(file for step in self._steps.values() for file in step["files"])}
        for path in self.folder.iterdir():
            if path.name not in ours and not path.name.startswith(CHECKPOINT):
                remove(path)


def has_reached(folder: Path) -> bool:
    """Return whether there is anything in a run's hidden folder to go on from."""
    return (folder / CHECKPOINT).exists() or (folder / LIST).exists()


def remove_checkpoints(folder: Path) -> None:
    """Remove the checkpoint of a training that is done, and those that were set aside."""
    for path in folder.glob(f"{CHECKPOINT}*"):
        remove(path)


def remove(path: Path) -> None:
    """Remove what stands in a place, a folder with all that is in it, if anything does."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
