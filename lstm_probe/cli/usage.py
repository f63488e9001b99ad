"""The help texts, made from the schemas' own fields."""

from dataclasses import Field
from pathlib import Path
from typing import Any

import yaml
from rich.table import Table
from rich.text import Text

from lstm_probe.cli.config import SCHEMAS, TRAINING, keys_of
from lstm_probe.cli.tables import plain_table
from lstm_probe.core.console import out
from lstm_probe.core.fields import REQUIRED, default_of, legal_in_short, text
from lstm_probe.runs.analyses import of_command
from lstm_probe.runs.settings import COMMANDS

EXAMPLES = {
    "describe": ("describe units=32 inputs=8", "describe units=64 inputs=50 projection=16"),
    "tasks": ("tasks", "tasks name=dyck1"),
    "train": (
        "train units=32",
        "train task=flipflop task.bits=2 units=4",
        "train --multirun units=2,4,8,16,32 seed=0,1,2",
        "train --multirun units=2,4,8,16 hydra/launcher=joblib",
        "train experiment=capacity",
        "train task=table task.path=data.csv units=8",
        "train units=8 --cfg job",
    ),
    "size": (
        "size task=parity",
        "size task=flipflop task.bits=3",
        "size task=table task.path=data.csv",
        "size task=parity solved=0.9 largest=16 budget=40",
    ),
    "probe": ("probe run=outputs/runs/tracking/u32-s0-1a2b3c4d probe.variables=[c,h] probe.lags=[0,1,2]",),
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
    "report": ("report", "report runs='outputs/runs/tracking/*'"),
    "figures": (
        "figures run=outputs/runs/tracking/u32-s0-1a2b3c4d",
        "figures run=outputs/runs/tracking/u32-s0-1a2b3c4d style=paper width=column formats=[pdf] only=[units,traces]",
        "figures run=outputs/runs/tracking/u32-s0-1a2b3c4d style=talk width=10 to=slides",
        "figures run=outputs/runs/tracking/u32-s0-1a2b3c4d table=probes",
    ),
    "reproduce": ("reproduce", "reproduce name=dyck1", "reproduce name=flipflop seeds=5", "reproduce all=true"),
    "runs": ("runs", "runs check=true"),
}

FLAGS = (
    ("--help", "this text"),
    ("--cfg job", "show the composed configuration and run nothing"),
    ("--multirun, -m", "try every combination of values given as key=a,b"),
    (
        "--config-dir FOLDER",
        "a folder of your own with task/ and experiment/ files, and tasks of your own in tasks.py, which is executed",
    ),
    ("--info, --hydra-help", "more about Hydra, which reads the command line"),
)


def _columns(*rows: tuple[str, ...]) -> Table:
    table = Table.grid(padding=(0, 2))
    for row in rows:
        table.add_row(*(f"  {cell}" if n == 0 else cell for n, cell in enumerate(row)))
    return table


def _say(line: str = "") -> None:
    out.print(line, markup=False, soft_wrap=True)


def show_help() -> None:
    """Print what commands there are."""
    _say("lstm-probe: what does each LSTM unit learn to remember, which units does the network use,")
    _say("and how many are needed?")
    _say()
    _say("usage: lstm-probe COMMAND [key=value ...]      (or: python -m lstm_probe COMMAND ...)")
    _say()
    _say("commands:")
    out.print(_columns(*((name, _summary(schema)) for name, schema in SCHEMAS.items())))
    _say()
    _say("examples:")
    for name in ("train", "tasks", "report"):
        _say(f"  lstm-probe {EXAMPLES[name][-1 if name == 'tasks' else 0]}")
    _say(f"  lstm-probe {EXAMPLES['train'][2]}")
    _say()
    _say("more:")
    out.print(_columns(("COMMAND --help", "a command's keys, with defaults and ranges, and examples"),
                       ("--version", "the version"),
                       ('eval "$(lstm-probe -sc install=bash)"', "completion in bash")))  # fmt: skip
    _say()
    _say("exit codes: 0 done, 1 a run failed, 2 bad input, 130 interrupted (129 by a hang-up, 143 by SIGTERM)")


def show_command_help(command: str, conf: Path) -> None:
    """Print a command's keys, straight from its schema, and examples.

    Args:
        command: its name.
        conf: the configuration folder, whose files are the choices of task and experiment.
    """
    _say(f"lstm-probe {command}: {_summary(SCHEMAS[command])}")
    _say()
    _say("examples:")
    for line in EXAMPLES[command]:
        _say(f"  lstm-probe {line}")
    _say()
    table = plain_table("key", "default", "legal", "meaning", whole=("key",))
    for key, f in keys_of(SCHEMAS[command]):
        if key == "task":
            trained = command == "train"
            rows = [(key, "tracking" if command in TRAINING else "null", _names(conf / "task"), f.metadata["help"])]
            presets = ("experiment", "null", _names(conf / "experiment"), "a preset; your own keys override it")
            rows += [presets] if trained else []
        else:
            legal = _names(conf / "task") if key == "name" and command == "tasks" else legal_in_short(f)
            rows = [(key, _default(f), legal, f.metadata["help"])]
        for row in rows:
            table.add_row(*map(Text, row))  # as Text, because brackets are no markup here
    out.print(table)
    _say()
    if command in TRAINING:
        _say("tasks with settings of their own, which your keys override:")
        out.print(_columns(*((path.stem, _settings(path)) for path in sorted((conf / "recipe").glob("*.yaml")))))
        _say()
    if command in COMMANDS:
        _say(f"analyses, for {command}.analyses=[...] (* made when nothing else is said):")
        out.print(_columns(*((f"{own.name}{'*' * own.default}", own.says) for own in of_command(command))))
        _say()
    _say("flags:")
    out.print(_columns(*FLAGS))


def _summary(schema: type) -> str:
    return (schema.__doc__ or "").strip()


def _names(folder: Path) -> str:
    return " ".join(sorted(path.stem for path in folder.glob("*.yaml")))


def _settings(path: Path) -> str:
    return " ".join(f"{key}={text(value)}" for key, value in yaml.safe_load(path.read_text(encoding="utf-8")).items())


def _default(f: Field[Any]) -> str:
    default = default_of(f)
    return "must be given" if default == REQUIRED else text(default)
