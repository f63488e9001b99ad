"""What was meant by a command line whose words are no command, or not key=value: told as the command to type.

Nothing here is heavy, and nothing is done: whoever mistyped decides. Only help is given for `train help` and the like.
"""

import re
import shlex
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from dataclasses import Field, dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from hydra._internal.utils import get_args_parser

from lstm_probe.cli.config import SCHEMAS, keys_of
from lstm_probe.cli.filters import FILTERED, filter_keys
from lstm_probe.cli.overrides import ALSO_CALLED, GROUPS, check, choices
from lstm_probe.core.errors import InputError
from lstm_probe.core.fields import REQUIRED, base_type, default_of, problem, text
from lstm_probe.core.files import configuration_folder

PROGRAM = "lstm-probe"
#: How near a word must be to a key to be taken for it where a value follows.
NEAR = 0.75
#: Keys that a word without one may be for, before all others of the command.
BEFORE = {"probe": ("run", "card"), "report": ("outputs",), "runs": ("outputs",)}
MULTIRUN = {"--multirun", "-m"}
#: Keys whose value is a file or folder.
PLACES = ("run", "path", "outputs")
#: Endings of files that the task `table` reads.
TABLES = (".csv", ".parquet")


@dataclass
class Line:
    """A command line on its way to what was meant.

    Attributes:
        command: its command.
        keys: the command's keys with their fields; None for the choice of a preset.
        folders: the configuration folders.
        words: what was meant, so far.
        problems: one for each word that was meant otherwise than it was written.
        unread: one for each word that cannot be read.
        multirun: whether one of the values read anew is several.
    """

    command: str
    keys: dict[str, Field[Any] | None]
    folders: list[Path]
    words: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    multirun: bool = False

    def given(self, key: str) -> bool:
        """Return whether a key has a value."""
        return any(word.lstrip("+").startswith(f"{key}=") for word in self.words)

    def take(self, written: str, key: str, value: str) -> None:
        """Take `written` for a key and its value; where the value is missing, for the key with what is usual."""
        f = self.keys.get(key)
        missing = not value
        if missing and not (value := _usual(f)):
            self.words.append(f"{key}=")  # the check says what is legal
            return
        if f is not None and base_type(f)[1] and not value.startswith("["):
            value = f"[{value}]"
        self.multirun = self.multirun or ("," in value and value[0] not in "[{'\"")
        self.words.append(f"{key}={value}")
        said = f"a value is missing; write {key}={value}" if missing and value != "true" else (
            f"a setting is written {key}={value}")  # fmt: skip
        self.problems.append(f"{written}: {said}.")


def settle(command: str, arguments: Sequence[str]) -> None:
    """Raise an InputError with the command to type where arguments are not flags and key=value but can be read so."""
    parser = get_args_parser()
    line = _read(command, arguments, parser)
    if line.words == list(arguments):
        return
    if line.multirun and not MULTIRUN & set(line.words):
        line.words.insert(0, "--multirun")
    # Presets and parameters of tasks are not checked: that would take seconds.
    given = [word for word in line.words if "=" in word and not re.match(r"-|task\.|experiment=.", word)]
    try:
        check(command, given, bool(MULTIRUN & set(line.words)), line.folders)
    except InputError as error:
        line.unread += error.problems
    raise InputError(*line.problems, *(line.unread or [did_you_mean(command, line.words)]))


def did_you_mean(command: str, words: Sequence[str]) -> str:
    """Return the line with a command to type, fit for a shell."""
    return f"Did you mean: {shlex.join([PROGRAM, command, *words])}"


def line_of(command: str, arguments: Sequence[str]) -> Line:
    own = [arguments[n + 1] if word == "--config-dir" else word.partition("=")[2]
           for n, word in enumerate(arguments) if word.startswith("--config-dir=")
           or (word == "--config-dir" and n + 1 < len(arguments))]  # fmt: skip
    keys: dict[str, Field[Any] | None] = dict(keys_of(SCHEMAS[command]))
    keys |= {key: None for key in (*GROUPS.get(command, {}), *filter_keys(command)) if key not in keys}
    return Line(command, keys, [configuration_folder(), *(Path(folder) for folder in own)])


def _read(command: str, arguments: Sequence[str], parser: ArgumentParser) -> Line:
    """Read the words one after the other; what cannot be read stays as it is."""
    line = line_of(command, arguments)
    words = list(_joined(arguments, line))
    while words:
        word = words.pop(0)
        if _is_flag(word, parser, line):
            line.words.append(word)
            takes = parser._option_string_actions.get(word)
            if takes is not None and takes.nargs != 0 and words and "=" not in word:
                line.words.append(words.pop(0))
        elif word.startswith("-") and not _is_number(word):
            _read_dashed(word, words, line, list(parser._option_string_actions))
        elif "=" in word or re.match(r"~[a-z_.]+$", word):  # the check says that no key can be removed
            line.words.append(word)
        else:
            _read_bare(word, words, line)
    return line


def _joined(arguments: Sequence[str], line: Line) -> Iterator[str]:
    """Go through the words, with `units = 32`, `units= 32`, `units =32` and `units: 32` as one word."""
    words = list(arguments)
    while words:
        word = written = words.pop(0)
        if words and not word.startswith("-") and (words[0].startswith("=") or word.endswith(("=", ":"))):
            parts = [word]
            while words and (parts[-1].endswith(("=", ":")) or words[0].startswith("=")) and len(parts) < 3:
                if "=" in words[0][1:]:  # a setting of its own
                    break
                parts.append(words.pop(0))
            if len(parts) > 1:
                written, word = " ".join(parts), "".join(parts).replace(":", "=", int("=" not in "".join(parts)))
                line.problems.append(f"{written}: a setting is written {word}.")
        yield word


def _read_dashed(word: str, words: list[str], line: Line, flags: Sequence[str]) -> None:
    """Read `--units=32`, `--units 32`, `--force` and `--no-force`, and a flag that is not quite written so."""
    name, equals, value = word.lstrip("-").partition("=")
    off = key_of(line, name[3:]) if name.startswith(("no-", "no_")) else None
    key = key_of(line, name) or _near(line, name)
    if off:
        line.take(word, off, "false")
    elif key:
        line.take(*((word, key, value) if equals else _with_value(word, key, words, line)))
    elif close := get_close_matches(word, flags, n=1, cutoff=NEAR):
        line.problems.append(f"{word}: no such flag. Did you mean '{close[0]}'?")
        line.words.append(close[0])
    elif equals or (words and _is_number(words[0])):  # the check says that there is no such key
        line.words.append(f"{name.replace('-', '_')}={value if equals else words.pop(0)}")
    else:
        line.words.append(word)  # said by whoever reads the flags


def _with_value(written: str, key: str, words: list[str], line: Line) -> tuple[str, str, str]:
    """Return what was written of a key and the value behind it, the key and the value, which is taken off the words."""
    f = line.keys.get(key)
    boolean = f is not None and base_type(f)[0] is bool
    there = words and "=" not in words[0] and (not words[0].startswith("-") or _is_number(words[0]))
    if there and not (boolean and words[0].lower() not in ("true", "false")):
        value = words.pop(0)
        return f"{written} {value}", key, value
    return written, key, ""


def _usual(f: Field[Any] | None) -> str:
    """Return what one would write for a field: true, its default or its example; nothing where there is none."""
    if f is None or f.name == "task":
        return ""
    usual = default_of(f)
    if base_type(f)[0] is bool:
        return "true"
    return f.metadata.get("example", "") if usual in (None, REQUIRED) else text(usual)


def _read_bare(word: str, words: list[str], line: Line) -> None:
    """Read a word that has neither = nor dashes: a key with its value behind it, or a value without its key."""
    key = key_of(line, word)
    places = [] if key else placed(line, word)
    for place, value in places:
        line.take(word, place, value)
    if places:
        return
    key = key or (_near(line, word) if words and "=" not in words[0] else None)
    if key:
        line.take(*_with_value(word, key, words, line))
        return
    if words and _is_number(words[0]):
        line.words.append(f"{word}={words.pop(0)}")
        return
    line.words.append("")
    keys = f"All keys: {PROGRAM} {line.command} --help all"
    line.unread.append(f"{word}: no such key; a setting is written key=value. {keys}")


def key_of(line: Line, word: str) -> str | None:
    """Return the key that a word is, whatever its dashes, or what other frameworks call so."""
    name = word.replace("-", "_")
    name = ALSO_CALLED.get(name.lower(), name)
    if name in line.keys or (name.startswith("task.") and "task" in line.keys):
        return name
    inner = [key for key in line.keys if key.endswith(f".{name}")]
    return inner[0] if len(inner) == 1 else None


def _near(line: Line, word: str) -> str | None:
    close = get_close_matches(word.replace("-", "_"), list(line.keys), n=1, cutoff=NEAR)
    return close[0] if close else None


def placed(line: Line, word: str) -> list[tuple[str, str]]:
    """Return the keys, with their values, that a word without a key is for; none where no key takes it."""
    if "task" in line.keys and not line.given("task") and Path(word).suffix in TABLES and line.command not in (
        "tasks", *FILTERED):  # fmt: skip
        return [("task", "table"), ("task.path", word)]
    is_path = "/" in word or Path(word).suffix != "" or Path(word).exists()
    first = [key for key in BEFORE.get(line.command, ()) if key in line.keys]
    for key in dict.fromkeys([*first, *line.keys]):
        if not line.given(key) and _takes(line, key, word, is_path):
            return [(key, word)]
    for key, group in GROUPS.get(line.command, {}).items():
        close = get_close_matches(word, choices(group, line.folders), n=1, cutoff=NEAR)
        if close and not line.given(key):
            return [(key, close[0])]
    return []


def _takes(line: Line, key: str, word: str, is_path: bool) -> bool:
    """Return whether a key takes a word for which it is told by the word alone."""
    group, f = GROUPS.get(line.command, {}).get(key), line.keys.get(key)
    if group is not None:
        return word in choices(group, line.folders)
    if f is None:
        return False
    kind, is_list, _ = base_type(f)
    if kind is int and not is_list:
        return word.isdecimal() and problem(key, f, int(word)) is None
    if f.metadata.get("choices"):
        return kind is str and not is_list and word in f.metadata["choices"]
    if key == "card":
        return re.fullmatch(r"\d+(\.\d+)?<?", word) is not None
    if key == "runs":
        return "*" in word
    return key in PLACES and is_path and "*" not in word and not _is_number(word)


def _is_flag(word: str, parser: ArgumentParser, line: Line) -> bool:
    """Return whether a word is a flag of Hydra's, or begins one; --run is a key where there is such a key."""
    name = word.partition("=")[0]
    if not word.startswith("-") or (name == "--run" and "run" in line.keys):
        return False
    flags = parser._option_string_actions
    return name in flags or (len(name) > 3 and any(flag.startswith(name) for flag in flags))


def _is_number(word: str) -> bool:
    return re.fullmatch(r"-?\.?\d[\d.]*(e[+-]?\d+)?", word) is not None
