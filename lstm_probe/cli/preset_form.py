"""The form of a preset: how it chooses its task, other files and a sweep; and why a file of settings cannot be read."""

from pathlib import Path
from typing import Any

from lstm_probe.core.fields import text


def reason(error: Exception) -> str:
    """Return why a file cannot be read, and in which line of it, if that is known."""
    mark, said = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    return str(error).splitlines()[0] if mark is None or not said else f"{said}, in line {mark.line + 1}"


def wrong_parts(path: Path, content: dict[str, Any]) -> list[str]:
    """Return what of a preset is not of the form by which it chooses its task, other files and a sweep."""
    problems, inner = [], content
    for part in ("hydra", "sweeper", "params"):
        own = inner.get(part)
        if own is not None and not isinstance(own, dict):
            return [f"{path}: {part}: {text(own)}: must hold keys and values."]
        inner = own or {}
    entries = content.get("defaults") or []
    if not isinstance(entries, list) or not all(isinstance(entry, str | dict) for entry in entries):
        problems.append(f"{path}: defaults: {text(entries)}: must be a list, as in - override /task: parity.")
    for key in (key for key in content if "." in key):
        nested = key.replace(".", ": {") + ": ..." + "}" * key.count(".")
        problems.append(f"{path}: {key}: no key has a dot in a file; write {nested}.")
    if "task" in content and not isinstance(content["task"], dict):
        problems.append(f"{path}: task: {text(content['task'])}: its parameters stand there; a preset chooses its task "
                        "under defaults, as in - override /task: parity.")  # fmt: skip
    return problems
