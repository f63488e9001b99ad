"""The help texts, made from the schemas' own fields."""

from collections.abc import Sequence
from dataclasses import Field
from pathlib import Path
from typing import Any

import yaml
from rich.text import Text

from lstm_probe.cli.config import SCHEMAS, TRAINING, keys_of
from lstm_probe.core.console import out
from lstm_probe.core.errors import InputError, nearest
from lstm_probe.core.fields import REQUIRED, default_of, legal_in_short, text
from lstm_probe.core.files import configuration_folder
from lstm_probe.core.tables import Entries
from lstm_probe.runs.analyses import of_command
from lstm_probe.runs.settings import COMMANDS

EXAMPLES = {
    "describe": ("describe units=32 inputs=8", "describe units=64 inputs=50 projection=16"),
    "tasks": ("tasks", "tasks name=dyck1"),
    "train": (
        "train units=32",
        "train task=flipflop task.bits=2 units=4",
        "train cell=gru units=8",
        "train --multirun units=2,4,8,16,32 seed=0,1,2",
        "train --multirun units=2,4,8,16 measure=light hydra.launcher.jobs=4",
        "train experiment=units_sweep",
        "train task=table task.path=data.csv units=8",
        "train units=8 --cfg job",
    ),
    "size": (
        "size task=parity",
        "size task=flipflop task.bits=3",
        "size task=table task.path=data.csv",
        "size task=parity solved=0.9 largest=16 budget=40",
    ),
    "probe": (
        "probe run=outputs/runs/tracking/u32-s0-1a2b3c4d probe.variables=[c,h] probe.lags=[0,1,2]",
        "probe run='outputs/runs/tracking/*'",
    ),
    "ablate": ("ablate run=outputs/runs/tracking/u32-s0-1a2b3c4d ablate.mode=zero",),
    "dynamics": ("dynamics run=outputs/runs/tracking/u32-s0-1a2b3c4d",),
    "import": (
        "import path=model.keras",
        "import path=model.keras task=table task.path=data.csv",
        "import path=model.onnx layer=encoder/lstm task=tracking name=encoder",
    ),
    "shrink": (
        "shrink run=outputs/runs/tracking/u32-s0-1a2b3c4d",
        "shrink run=outputs/runs/tracking/u32-s0-1a2b3c4d tune=2000 keep=0.98",
        "shrink run=outputs/runs/tracking/u32-s0-1a2b3c4d units=8 tune=5000 measure=none",
    ),
    "export": (
        "export run=outputs/runs/tracking/u32-s0-1a2b3c4d format=onnx",
        "export run=outputs/runs/tracking/u32-s0-1a2b3c4d path=network.pt",
    ),
    "report": ("report", "report runs='outputs/runs/tracking/*'", "report task=tracking units=[8,16,32]"),
    "figures": (
        "figures run=outputs/runs/tracking/u32-s0-1a2b3c4d",
        "figures run=outputs/runs/tracking/u32-s0-1a2b3c4d style=paper width=column formats=[pdf] only=[units,traces]",
        "figures run=outputs/runs/tracking/u32-s0-1a2b3c4d style=talk width=10 to=slides",
        "figures run=outputs/runs/tracking/u32-s0-1a2b3c4d table=populations columns=[signal,score,ci_low,ci_high]",
    ),
    "reproduce": (
        "reproduce",
        "reproduce name=dyck1",
        "reproduce name=flipflop seeds=5",
        "reproduce all=true",
        "reproduce name=num_units",
    ),
    "truth": (
        "truth",
        "truth all=true",
        "truth methods=[tracks,correlation] knobs=[look_alike,decoys]",
        "truth method=my_module:my_function",
    ),
    "runs": ("runs", "runs task=flipflop task.bits=2 solved=true", "runs check=true", "runs merge=../laptop/outputs"),
}

#: Characters of a default that is written as it is.
LONGEST_LIST = 20
#: What people set first, of commands with more keys than fit on a screen; the others are shown by `--help all`.
FIRST = {
    "train": ("task", "experiment", "units", "seed", "layers", "steps", "measure", "outputs"),
    "size": ("task", "largest", "budget", "solved", "layers", "steps", "threads", "outputs"),
    "probe": (
        "run",
        "card",
        "probe.analyses",
        "probe.variables",
        "probe.lags",
        "probe.sequences",
        "probe.null",
        "seed",
    ),
    "ablate": ("run", "ablate.analyses", "ablate.variable", "ablate.mode", "ablate.sequences", "ablate.keep", "seed"),
    "dynamics": ("run", "dynamics.analyses", "dynamics.sequences", "dynamics.after", "dynamics.scale", "seed"),
    "import": ("path", "task", "layer", "readout", "init", "name", "measure", "outputs"),
}

FLAGS = (
    ("--help", "this text"),
    ("--help all", "all keys; --help KEY for one, such as --help seed"),
    ("--cfg job", "show the composed configuration and run nothing"),
    ("--multirun, -m", "try every combination of values given as key=a,b"),
    (
        "--config-dir FOLDER",
        "a folder of your own with task/ and experiment/ files, and tasks of your own in tasks.py, which is executed",
    ),
    ("--info, --hydra-help", "more about Hydra, which reads the command line"),
)
#: The widest that a line of the help becomes.
WIDTH = 100
ALL = "all"
HELP = ("--help", "-h", "help")


def _say(line: str = "") -> None:
    out.print(line, markup=False, soft_wrap=True)


def _show(*shown: str | Entries) -> None:
    """Print paragraphs and lists, no wider than is good to read."""
    for one in shown:
        out.print(Text(one) if isinstance(one, str) else one, width=min(WIDTH, out.width))


def show_help() -> None:
    """Print what commands there are."""
    _show("lstm-probe: what does each LSTM unit learn to remember, which units does the network use, and how many are "
          "needed?", "", "usage: lstm-probe COMMAND [key=value ...]", "", "commands:",
          Entries(*((name, _summary(schema)) for name, schema in SCHEMAS.items())), "", "examples:")  # fmt: skip
    for name in ("train", "tasks", "report"):
        _say(f"  lstm-probe {EXAMPLES[name][-1 if name == 'tasks' else 0]}")
    _say(f"  lstm-probe {EXAMPLES['train'][2]}")
    _show("", "more:",
          Entries(("COMMAND --help", "a command's first keys, with defaults and legal values, and examples"),
                  ("COMMAND --help all", "all its keys"), ("--version", "the version")))  # fmt: skip
    _say('  eval "$(lstm-probe -sc install=bash)"')
    _show(Entries(("", "completion in bash; also zsh and fish")), "",
          "exit codes: 0 done, 1 a run failed, 2 bad input, 130 interrupted (129 by a hang-up, 143 by SIGTERM)",
          "Without lstm-probe on the path: python -m lstm_probe COMMAND ...")  # fmt: skip


def help_asked(rest: Sequence[str]) -> Sequence[str] | None:
    """Return what help is asked about: nothing, or one word; None where no help is asked for."""
    for n, word in enumerate(rest):
        flag, equals, topic = word.partition("=")
        if (word == "help" and n == 0) or flag in HELP[:2]:
            return [topic] if equals else [one for one in rest[n + 1 : n + 2] if not one.startswith("-")]
    return None


def topics(command: str) -> list[str]:
    """Return what `--help` may be followed by."""
    keys = [key for key, *_ in _keys(command)]
    return [ALL, *dict.fromkeys(key.partition(".")[0] for key in keys), *(key for key in keys if "." in key)]


def show_command_help(command: str, topic: str | None = None) -> None:
    """Print a command's keys, straight from its schema, and examples.

    Args:
        command: its name.
        topic: "all" for all keys; a key, or what keys begin with; None for those that people set first.

    Raises:
        InputError: there is no such key.
    """
    every = _keys(command)
    if topic is None:
        first = FIRST.get(command, ())
        shown = sorted((row for row in every if row[0] in first), key=lambda row: first.index(row[0])) or every
    else:
        name = topic.partition("=")[0].removesuffix(".")
        shown = every if name == ALL else [row for row in every if f"{row[0]}.".startswith(f"{name}.")]
        if not shown:
            legal = topics(command)
            raise InputError(f"--help {topic}: no such key.{nearest(name, legal)} All keys: lstm-probe {command} "
                             f"--help {ALL}")  # fmt: skip
    whole = topic in (None, ALL)
    if whole:
        _show(f"lstm-probe {command}: {_summary(SCHEMAS[command])}", "", "examples:")
        for line in EXAMPLES[command]:
            _say(f"  lstm-probe {line}")
        _say()
    _show("keys:", Entries(*((f"{key}={default}", said) for key, default, said in shown)))
    if left := len(every) - len(shown):
        _say(f"\nThe other {left} keys: lstm-probe {command} --help {ALL}")
    if topic == ALL and command in TRAINING:
        _show("", "tasks with settings of their own, which your keys override:", Entries(*recipes()))
    named = [own for own in COMMANDS if any(key == f"{own}.analyses" for key, *_ in shown)]
    for own in named:
        _show("", f"analyses, for {own}.analyses=[...] (* made when nothing else is said):",
              Entries(*((f"{one.name}{'*' * one.default}", one.says) for one in of_command(own))))  # fmt: skip
    if whole:
        _show("", "flags:", Entries(*(row for row in FLAGS if command in FIRST or ALL not in row[0])))


def recipes() -> list[tuple[str, str]]:
    """Return the tasks with settings of their own, and these."""
    return [(path.stem, _settings(path)) for path in sorted((configuration_folder() / "recipe").glob("*.yaml"))]


def _keys(command: str) -> list[tuple[str, str, str]]:
    """Return a command's keys, each with its default and its meaning."""
    rows = []
    for key, f in keys_of(SCHEMAS[command]):
        said = f.metadata["help"]
        if key == "task":
            rows.append((key, "tracking" if command in TRAINING else "null", f"{said}: {_names('task')}"))
            if command == "train":
                rows.append(("experiment", "null", f"a preset; your own keys override it: {_names('experiment')}"))
        elif key == "name" and command == "tasks":
            rows.append((key, "null", f"{said}: {_names('task')}"))
        else:
            rows.append((key, *_default_and_words(f)))
    return rows


def _default_and_words(f: Field[Any]) -> tuple[str, str]:
    """Return a key's default, and what it means with its legal values; a long list is told in words."""
    default, legal = default_of(f), legal_in_short(f)
    said = f.metadata["help"] + ("" if legal == "text" else f" [{legal}]")
    if default == REQUIRED:
        return "...", f"must be given: {said}"
    if isinstance(default, list) and len(text(default)) > LONGEST_LIST:
        return "[...]", f"{said}; as it is: {', '.join(map(text, default))}"
    return text(default), said


def _summary(schema: type) -> str:
    return (schema.__doc__ or "").strip()


def _names(group: str) -> str:
    return " ".join(sorted(path.stem for path in (configuration_folder() / group).glob("*.yaml")))


def _settings(path: Path) -> str:
    return " ".join(f"{key}={text(value)}" for key, value in yaml.safe_load(path.read_text(encoding="utf-8")).items())
