"""Files and folders that are whole or not there, also after a crash; checksums."""

import errno
import hashlib
import math
import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lstm_probe.core.errors import InputError

PARTIAL = ".partial"  # at the end of a file's or folder's hidden name while it is being made
OLD = ".old"  # at the end of a folder's hidden name while another takes its place
KEPT = "analyses"  # in a folder, what others put there meanwhile: it goes on into the one that takes its place


def sha256(path: Path) -> str:
    """Return a file's checksum."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_whole(
    path: Path, content: str | bytes | memoryview | Iterable[Any], *, lasting: bool = True
) -> tuple[str, int]:
    """Write a file beside its place and rename it when it is on the disk; return its checksum and size.

    Args:
        path: in a folder that is there.
        content: text, bytes, or an iterable of blocks of bytes.
        lasting: False where whoever reads it compares its checksum: it is renamed when it is written, and a machine
            that dies soon after may leave less of it.

    Raises:
        OSError: a full disk and the like; nothing is left behind, and what stood in its place still does.
    """
    whole = content.encode() if isinstance(content, str) else content
    blocks: Iterable[Any] = [whole] if isinstance(whole, bytes | memoryview) else whole
    digest = hashlib.sha256()
    # A name of its own for every writer: two that write the same file don't write into each other's.
    partial = path.with_name(f".{path.name}.{os.urandom(4).hex()}{PARTIAL}")
    try:
        with partial.open("xb") as stream:
            for block in blocks:
                stream.write(block)
                digest.update(block)
            size = stream.tell()
            stream.flush()
            if lasting:
                os.fsync(stream.fileno())
        partial.replace(path)
        if lasting:
            sync(path.parent)
    except BaseException as error:
        partial.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename == str(partial):
            error.filename = str(path)  # the name that the user knows
        raise
    return digest.hexdigest(), size


def sync(path: Path) -> None:
    """Return when a file's content, or the names of a folder's files, are on the disk."""
    if path.is_dir() and os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if not (path.is_dir() and error.errno in (errno.EINVAL, errno.ENOTSUP)):  # some network disks can't
            raise
    finally:
        os.close(descriptor)


def publish_folder(partial: Path, folder: Path, *, keep: bool = False) -> None:
    """Rename a folder into its place when all of it is on the disk; one that stands there goes when the new one is in.

    With `keep` the `KEPT` folder of that goes over into the new one as it is by then, what is being made in it too.
    Only whoever holds the place may call this: see `holding.held`. What a crash cuts in two, `mend_folder` puts right.

    Raises:
        OSError: a full disk and the like; what stood in its place still does, and the new one where it was made.
    """
    leftovers = {path for path in partial.rglob(f".*{PARTIAL}") if path.is_file()}
    for path in {*partial.rglob("*")} - leftovers:
        sync(path)
    for leftover in leftovers:  # as late as can be: what a run has reached is known by them
        leftover.unlink()
    sync(partial)
    old = _old(folder, keep)
    try:
        if folder.exists():
            folder.rename(old)
        partial.rename(folder)
        if keep:
            _carry_over(old, folder)
    except BaseException:
        mend_folder(folder)
        raise
    sync(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def mend_folder(folder: Path) -> None:
    """Put right an exchange of folders that a crash cut in two: the old one goes if the new one is in, else is back."""
    for keep in (False, True):
        old = _old(folder, keep)
        if old.exists():
            if not folder.exists():
                old.rename(folder)
                continue
            if keep:
                _carry_over(old, folder)
            shutil.rmtree(old)


def _carry_over(old: Path, folder: Path) -> None:
    """Move the `KEPT` folder of one that is replaced into the new one, or what is not in that one's yet."""
    mine, new = old / KEPT, folder / KEPT
    if os.path.lexists(mine) and not os.path.lexists(new):
        mine.rename(new)
    elif mine.is_dir() and new.is_dir():
        for path in list(mine.iterdir()):
            if not os.path.lexists(new / path.name):
                path.rename(new / path.name)
    else:
        return
    sync(folder)


def _old(folder: Path, keep: bool) -> Path:
    return folder.with_name(f".{folder.name}{'.' + KEPT if keep else ''}{OLD}")


def replaced_by(old: Path) -> Path:
    """Return in whose place a folder stood that has the hidden name of one that is being replaced."""
    return old.with_name(old.name.removeprefix(".").removesuffix(OLD).removesuffix(f".{KEPT}"))


def check_writable(folder: Path, key: str) -> None:
    """Raise an InputError about this key unless a folder, or the nearest above it that is there, can be written to."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise InputError(
            f"{key}={folder}: {there} cannot be written to ({error.strerror}); choose another folder."
        ) from None


def human(size: float) -> str:
    """Return a number of bytes for people.

    >>> human(1_234_567)
    '1.2 MB'
    """
    power = min(4, int(math.log10(max(size, 1)) // 3))
    return f"{size / 1000**power:.{min(power, 1)}f} {('bytes', 'kB', 'MB', 'GB', 'TB')[power]}"


def configuration_folder() -> Path:
    """Return the folder of the configuration: in the installed package, else beside it in the repository."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"
