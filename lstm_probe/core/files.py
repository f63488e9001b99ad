"""Files that are whole or not there, and their checksums."""

import hashlib
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

PARTIAL = ".partial"  # at the end of a file's name while it is being written


def sha256(path: Path) -> str:
    """Return a file's checksum."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_whole(path: Path, blocks: Iterable[Any]) -> tuple[str, int]:
    """Write a file beside its place and rename it when it is on the disk; return its checksum and size.

    Raises:
        OSError: a full disk and the like; nothing is left behind, and what stood in its place still does.
    """
    digest, size = hashlib.sha256(), 0
    partial = path.with_name(path.name + PARTIAL)
    try:
        with partial.open("wb") as stream:
            for block in blocks:
                stream.write(block)
                digest.update(block)
                size += len(block)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return digest.hexdigest(), size


def sync_names(folder: Path) -> None:
    """Return when the names of a folder's files, too, are on the disk."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


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
