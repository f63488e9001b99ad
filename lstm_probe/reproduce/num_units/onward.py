"""What to do next, by kind of reader: commands that work on the runs that the answer is made of."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lstm_probe.reproduce.num_units.making import Material
from lstm_probe.runs.run import Run


@dataclass(frozen=True)
class Reader:
    """A kind of reader, and what is there for them: sentences, each with its command."""

    who: str
    steps: Sequence[tuple[str, str]]


def command(*words: str, outputs: Path | str = "outputs") -> str:
    """Return a command as it is written in a shell; the folder of the store is named where it is not the usual one.

    >>> command("size", "task=parity"), command("report", outputs="my runs")
    ('lstm-probe size task=parity', "lstm-probe report 'outputs=my runs'")
    """
    where = [] if str(outputs) == "outputs" else [f"outputs={outputs}"]
    return shlex.join(["lstm-probe", *words, *where])


def readers(material: Material, network: Run) -> list[Reader]:
    """Return what to do next.

    Args:
        material: of the answer.
        network: the run that was looked at closely.
    """
    outputs, run = material.outputs, f"run={network.path}"
    large = f"run={max(material.runs, key=lambda one: one.info['units']).path}"
    return [
        Reader("You must choose num_units for a network of your own", (
            ("Your data as a CSV file, one row for each step: how many units predict it as well as large networks do.",
             command("size", "task=table", "task.path=data.csv", outputs=outputs)),
            ("Nearest of the built-in tasks, with how many units each takes.", command("tasks", outputs=outputs)),
            ("A large network that is there already, made smaller.", command("shrink", large, outputs=outputs)),
        )),
        Reader("You need figures that a reviewer believes", (
            ("More seeds: from five on there are intervals over networks.",
             command("reproduce", "name=num_units", "seeds=5", outputs=outputs)),
            ("All runs on one page, with what was tested and how.", command("report", outputs=outputs)),
            ("Published results, measured again.", command("reproduce", outputs=outputs)),
        )),
        Reader("You have a trained network in Keras, PyTorch, ONNX or TensorFlow 1", (
            ("Its units, measured on your own table.",
             command("import", "path=model.keras", "task=table", "task.path=data.csv", outputs=outputs)),
            ("And back again, into a file for another framework.",
             command("export", run, "format=onnx", outputs=outputs)),
        )),
        Reader("You think in tuning curves of single neurons", (
            ("One unit's card, its tuning and its memory.", command("probe", run, f"card={0}")),
            ("What writes, holds and reads the memories.", command("dynamics", run)),
            ("What the network loses without a unit.", command("ablate", run, "ablate.mode=resample")),
        )),
    ]  # fmt: skip
