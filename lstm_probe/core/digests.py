"""Folders that are what was written: one JSON file has size and SHA-256 of every other, and a digest of itself.

What is checked is what is used: a file is read once, and its bytes are handed on. No link is followed, and nothing but
a regular file is opened, so that a folder from somebody else leads nowhere out of itself.
"""

import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from lstm_probe.core.files import PARTIAL, sha256

#: Of a folder's files, by their names relative to it: {"sha256": ..., "bytes": ...}.
Files = Mapping[str, Mapping[str, Any]]

LARGEST_JSON = 10_000_000  # bytes of a file that lists others


class DamagedError(ValueError):
    """A file is not what was written; the message says in what, in a few words."""


def read_regular(path: Path, most: int | None = None) -> bytes:
    """Return a regular file's bytes.

    Args:
        path: of the file; a link is not followed.
        most: more bytes are refused.

    Raises:
        DamagedError: it is missing, a link, a folder, a pipe or the like, too large, or cannot be read.
    """
    try:
        # Without O_NONBLOCK a pipe would be waited for.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        reason = "it is a link" if path.is_symlink() else "it is missing" if not path.exists() else error.strerror
        raise DamagedError(f"{reason}") from None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise DamagedError("it is no regular file")
    with os.fdopen(descriptor, "rb") as stream:
        if most is not None and status.st_size > most:
            raise DamagedError(f"it has {status.st_size} bytes, more than {most}")
        try:
            return stream.read()
        except OSError as error:
            raise DamagedError(f"{error.strerror}") from None


def read_told(folder: Path, name: str, files: Files | None) -> bytes:
    """Return the bytes of a folder's file, which are what the folder's list says.

    Args:
        folder: that holds the file.
        name: of the file, relative to the folder.
        files: what is listed; None where there is no list, so that nothing can be compared.

    Raises:
        DamagedError: it is not in the list, has another size or SHA-256, or as of `read_regular`.
    """
    parents = [folder / parent for parent in PurePosixPath(name).parents if parent != PurePosixPath()]
    if any(parent.is_symlink() for parent in parents):
        raise DamagedError("its folder is a link")
    if files is None:
        return read_regular(folder / name)
    if name not in files:
        raise DamagedError("it is not among the files that were written")
    told = files[name]
    content = read_regular(folder / name, most=told["bytes"])
    if len(content) != told["bytes"]:
        raise DamagedError(f"it has {len(content)} bytes, {told['bytes']} were written")
    if hashlib.sha256(content).hexdigest() != told["sha256"]:
        raise DamagedError("its checksum is wrong")
    return content


def inside(folder: Path) -> Iterator[str]:
    """Go through the names of all files in a folder and its folders, relative to it; links are not followed."""
    for place, folders, files in os.walk(folder):
        linked = [name for name in folders if Path(place, name).is_symlink()]
        for name in sorted([*files, *linked]):
            yield Path(place, name).relative_to(folder).as_posix()


def digests_of(folder: Path, *but: str) -> dict[str, dict[str, Any]]:
    """Return sizes and SHA-256 of a folder's files, without half ones, and but for these files and folders."""
    every = (name for name in inside(folder) if not name.endswith(PARTIAL))
    names = sorted(name for name in every if PurePosixPath(name).parts[0] not in but)
    return {name: {"sha256": sha256(folder / name), "bytes": (folder / name).stat().st_size} for name in names}


def are_files(files: Any) -> bool:
    """Return whether this is a list of files as `digests_of` makes it, none of them outside the folder."""
    return isinstance(files, dict) and all(
        isinstance(told, dict)
        and type(told.get("bytes")) is int
        and told["bytes"] >= 0
        and isinstance(told.get("sha256"), str)
        and not name.startswith("/")
        and ".." not in name.split("/")
        for name, told in files.items()
    )


def sealed(content: Mapping[str, Any]) -> str:
    """Return the JSON text of a mapping with a digest of itself.

    >>> unsealed(sealed({"a": 1.5}))["a"]
    1.5
    """
    return json.dumps({**content, "digest": _digest(content)}, indent=2) + "\n"


def unsealed(text: str | bytes) -> dict[str, Any]:
    """Return what a JSON text holds; `digest` is among it only where there is one, and it is right.

    Raises:
        DamagedError: it is no JSON object, or not the one that was written.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise DamagedError("it is no JSON") from None
    if not isinstance(content, dict):
        raise DamagedError("it is no JSON object")
    if "digest" in content and content["digest"] != _digest(content):
        raise DamagedError("its digest is wrong")
    return content


def _digest(content: Mapping[str, Any]) -> str:
    own = {key: value for key, value in content.items() if key != "digest"}
    return hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()
