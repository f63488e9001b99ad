"""What was meant by a command line that does not begin with a command."""

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from lstm_probe.cli.config import SCHEMAS, keys_of
from lstm_probe.cli.meant import PROGRAM, did_you_mean, key_of, line_of, placed, settle
from lstm_probe.cli.overrides import ALSO_CALLED, choices
from lstm_probe.core.errors import InputError
from lstm_probe.core.files import configuration_folder

#: What other tools call our commands.
ALSO_COMMANDS = {
    "fit": "train", "learn": "train", "search": "size", "analyse": "probe", "analyze": "probe", "inspect": "probe",
    "clamp": "ablate", "prune": "shrink", "compress": "shrink", "load": "import", "convert": "import",
    "save": "export", "html": "report", "list": "runs", "ls": "runs", "explain": "describe", "anatomy": "describe",
    "models": "runs", "task": "tasks",
}  # fmt: skip
#: Endings of files that `import` reads.
NETWORKS = (".keras", ".h5", ".onnx", ".pt", ".pth", ".safetensors", ".ckpt")


def no_such_command(word: str, rest: Sequence[str]) -> list[str]:
    """Return what to say where a command line does not begin with a command."""
    names = list(SCHEMAS)
    moved = next((name for name in rest if name in names), None)
    others = [word, *rest]
    if moved is not None:
        others.remove(moved)
    if word.startswith("-") or "=" in word:
        command = moved or _command_with(word)
        said = f"{word}: the command comes first, as in {PROGRAM} {command} {' '.join(others)}"
        return [said, *_meant(command, others)[-1:]]
    keyed = word in {key for schema in SCHEMAS.values() for key, _ in keys_of(schema)} or word in ALSO_CALLED
    also = [ALSO_COMMANDS[word.lower()]] if word.lower() in ALSO_COMMANDS else []
    close = also or ([] if keyed else get_close_matches(word, names, n=1, cutoff=0.6))
    hint = f" Did you mean '{close[0]}'?" if close else ""
    said = f"{word}: no such command.{hint} There are {', '.join(names)}."
    if close:
        return [said, *_meant(close[0], rest)[-1:]]
    found = moved or _command_of(word, rest)
    return [said, *(_meant(found, others)[-1:] if found else [])]


def _meant(command: str, words: Sequence[str]) -> list[str]:
    """Return what to type for a command with these words, or what is wrong with them."""
    try:
        settle(command, words)
    except InputError as error:
        return list(error.problems)
    return [did_you_mean(command, words)]


def _command_with(word: str) -> str:
    """Return the first command that has this key."""
    key = word.lstrip("-+").partition("=")[0]
    every = ("train", *SCHEMAS)
    return next((name for name in every if key_of(line_of(name, []), key) == key), "train")


def _command_of(word: str, rest: Sequence[str]) -> str | None:
    """Return the command that a word is for which is none itself: a task, a file, a folder, a key."""
    if Path(word, "run.json").exists():
        return "probe"
    if Path(word).suffix in NETWORKS:
        return "import"
    if word in choices("task", [configuration_folder()]) and not rest:
        return "tasks"
    every = ("train", *SCHEMAS)
    return next((name for name in every if key_of(line_of(name, []), word) or placed(line_of(name, []), word)), None)
