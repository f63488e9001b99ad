"""Makes a run in many processes, each of which is ended after, or within, one further step: see `test_reached.py`.

    python -m tests.runs.cut KIND MOMENT OUTPUTS NUMBER

Prints how many processes there were. The names of all analyses that were made go into OUTPUTS/made.txt, one a line.
"""

import os
import signal
import sys
from dataclasses import asdict
from pathlib import Path

from lstm_probe.core.console import set_up_logging
from lstm_probe.network.training import Trainer
from lstm_probe.runs import reached
from lstm_probe.runs.making import Measuring
from lstm_probe.runs.measure import Subject
from lstm_probe.runs.phases import NotEnoughMemoryError
from lstm_probe.runs.settings import COMMANDS, AblateSettings, DynamicsSettings, ProbeSettings, RunSettings
from lstm_probe.runs.training import train_run

PROBE = {"sequences": 30, "permutations": 99, "bootstrap": 10, "untrained": 1, "rotations": 19}
FEW = {"probe": ["probes", "populations", "tuning"], "ablate": ["ablations"], "dynamics": ["timescales"]}
STEPS = 80  # more processes than any run has steps
CODES = {"kill": -signal.SIGKILL, "ctrl-c": 130, "memory": 1}


def train(outputs, analyses=None, measure=True, force=False):
    """Make a small run with these analyses, by command, or the usual ones; return it."""
    settings = RunSettings(
        task={"name": "flipflop", "bits": 2, "length": 12}, units=2, steps=40, evaluate_every=20,
        stop_when_solved=False, test_sequences=32, outputs=str(outputs), force=force, probe=ProbeSettings(**PROBE),
        ablate=AblateSettings(sequences=20, bootstrap=10), dynamics=DynamicsSettings(sequences=16, bootstrap=10),
    )  # fmt: skip
    own = {command: asdict(getattr(settings, command)) for command in COMMANDS}
    for command, names in (analyses or {}).items():
        own[command]["analyses"] = names
    names = [name for command in COMMANDS for name in own[command]["analyses"]] if measure else []
    return train_run(settings, Measuring(tuple(names), own, 1, lambda *_: None))


def end(kind):
    """End this process."""
    if kind == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    raise {"ctrl-c": KeyboardInterrupt, "memory": MemoryError}[kind]


def cut(kind, moment):
    """Let this process end in its first new step: after it, or in the second, between the list and the files."""
    add, write, done = reached.Reached.add, reached.write_whole, []

    def add_and_end(self, *arguments):
        add(self, *arguments)
        done.append(arguments)
        if moment == "after":
            end(kind)

    def write_and_end(path, *arguments, **keywords):
        if moment == "within" and done and path.name != reached.LIST:
            end(kind)
        return write(path, *arguments, **keywords)

    reached.Reached.add, reached.write_whole = add_and_end, write_and_end


def note(place):
    """Note which analyses are made, and that there are updates."""
    table, update, trained = Subject.table, Trainer._update, []

    def write(line):
        with place.open("a") as stream:
            stream.write(f"{line}\n")

    def made(self, analysis):
        write(analysis.name)
        return table(self, analysis)

    def updated(self, batch):
        if not trained:
            trained.append(True)
            write("training")
        return update(self, batch)

    Subject.table, Trainer._update = made, updated


def child(kind, moment, outputs, analyses):
    """Make what one process makes; return its exit code."""
    note(outputs / "made.txt")
    cut(kind, moment)
    set_up_logging()
    try:
        train(outputs, analyses)
    except KeyboardInterrupt:
        return CODES["ctrl-c"]
    except NotEnoughMemoryError:
        return CODES["memory"]
    return 0


if __name__ == "__main__":
    kind, moment, place, number = sys.argv[1:]
    outputs = Path(place)
    for count in range(1, STEPS):
        process = os.fork()
        if not process:
            os._exit(child(kind, moment, outputs, FEW if number == "few" else None))
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        if code not in (0, CODES[kind]):
            raise SystemExit(f"exit code {code} in process {count}")
        if code == 0:
            print(count)
            break
