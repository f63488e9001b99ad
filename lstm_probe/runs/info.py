"""What a `run.json` says, checked once, when a run is opened: its digest, types, and that its names are its folder's.

What was written before there were digests (schema 2 and below) is read as it is, and said to be not covered.
"""

import math
import os
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from lstm_probe.core.digests import LARGEST_JSON, are_files, read_regular, unsealed
from lstm_probe.core.errors import LONGEST_LINE, LONGEST_NAME, InputError, clean
from lstm_probe.runs.schema import SCHEMA, WITH_DIGESTS, schema_of

AGAIN = "make the run again with force=true"


def _number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _date(value: Any) -> bool:
    try:
        return bool(datetime.fromisoformat(value))
    except (TypeError, ValueError):
        return False


def _or_none(kind: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or kind(value)


def _list(kind: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(kind, value))


def _by_name(kind: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, dict) and all(map(kind, value.values()))


#: What every finished run says.
ALWAYS: Mapping[str, Callable[[Any], bool]] = {
    "status": _text, "run": _text, "task": _text, "units": _count, "seed": _count, "hash": _text,
    "scores": _by_name(_number), "learned": _by_name(lambda value: type(value) is bool),
    "solved": lambda value: type(value) is bool, "seconds": _by_name(_number), "finished": _date,
}  # fmt: skip
#: What it says of each comparison of what was recorded with what the network returned.
CHECKED: Mapping[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("call", "layer", "sequences", "steps"), _count), **dict.fromkeys(("direction", "compared"), _text),
    **dict.fromkeys(("difference", "scale", "tolerance"), _number),
}  # fmt: skip
#: What its summary says: see `runs.summary`.
SUMMARY: Mapping[str, Callable[[Any], bool]] = {
    "tracked": _or_none(_list(_text)), "gist": _text,
    "counts": _by_name(lambda value: isinstance(value, list) and len(value) == 2 and all(map(_count, value))),
}  # fmt: skip
#: What it says where there is something to say.
SOMETIMES: Mapping[str, Callable[[Any], bool]] = {
    "measured": _list(_text), "layers": _count, "projection": _count, "versions": _by_name(_text),
    "cell": _text, "git": _or_none(_text), "device": _text, "threads": _count, "steps_done": _count, "source": _text,
    "imported": _list(_text), "not_scored": _text, "not_ablated": _text, "task_files": _by_name(_or_none(_text)),
    "checks": _list(lambda value: isinstance(value, dict) and value.keys() == CHECKED.keys()
                    and all(CHECKED[key](one) for key, one in value.items())),
    "summary": lambda value: isinstance(value, dict) and value.keys() == SUMMARY.keys()
                             and all(SUMMARY[key](one) for key, one in value.items()),
    "files": are_files, "shrunk": lambda value: isinstance(value, dict),
}  # fmt: skip


def read_info(folder: Path) -> dict[str, Any]:
    """Return what a folder's `run.json` says; names in it are fit to be shown.

    Raises:
        InputError: it is missing or damaged, of a newer version, not of a finished run, or of another folder.
    """
    file = folder / "run.json"
    try:
        content = read_regular(file, LARGEST_JSON)
        info = unsealed(content)
        schema = schema_of(info)
    except ValueError as error:
        raise InputError(f"{file}: damaged ({error}); {AGAIN}") from None
    if schema > SCHEMA:
        raise InputError(
            f"run={folder}: made by a newer version (schema {schema}; this one reads up to {SCHEMA}); update lstm_probe"
        )
    if isinstance(info.get("status"), str) and info["status"] != "finished":
        raise InputError(f"run={folder}: not finished (status {info['status']}); its own `train` command continues it")
    wrong = _wrong_types(info, schema)
    if wrong:
        raise InputError(f"{file}: damaged ({wrong}); {AGAIN}")
    _check_names(info, folder)
    return info if _is_fit(content) else {clean(key): _shown(value) for key, value in info.items()}


def _wrong_types(info: Mapping[str, Any], schema: int) -> str | None:
    needed = [*ALWAYS, *(("measured", "files", "digest") if schema >= WITH_DIGESTS else ())]
    if missing := [key for key in needed if key not in info]:
        return f"no {', '.join(missing)}"
    for key, fits in {**ALWAYS, **SOMETIMES}.items():
        if key in info and not fits(info[key]):
            return f"{key}={clean(repr(info[key]), 60)} is not what it must be"
    return None


def _check_names(info: Mapping[str, Any], folder: Path) -> None:
    """Raise an InputError unless a run is called as its folder is, and in a store its task as the folder above."""
    place = Path(os.path.abspath(folder))  # noqa: PTH100  a link is called as it is called
    own = f"u{info['units']}-s{info['seed']}-{info['hash']}"
    if info["run"] != place.name or not (place.name == own or place.name.endswith(f"-{own}")):
        raise InputError(
            f"run={folder}: not this folder's run: its run.json is of {info['run']} ({own}); "
            "give the folder its own name again"
        )
    task, stored = info["task"], place.parent.parent.name == "runs"
    if not re.fullmatch(r"[a-z][a-z0-9_]*", task) or (stored and task != place.parent.name):
        raise InputError(
            f"run={folder}: not this folder's run: its run.json is of the task {task}; "
            "put it into the folder of that name again"
        )


def _is_fit(content: bytes) -> bool:
    """Return whether everything in a JSON text is fit to be shown, at a glance: plain letters, and no long lines."""
    plain = content.isascii() and b"\\" not in content and b"\x7f" not in content
    return plain and max(map(len, content.split(b"\n"))) <= LONGEST_NAME


def _shown(value: Any) -> Any:
    if isinstance(value, dict):
        return {clean(key): _shown(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_shown(inner) for inner in value]
    return clean(value, LONGEST_LINE) if isinstance(value, str) else value
