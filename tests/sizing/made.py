"""Runs in a store whose trainings are made up: what they score is a law of units and seed."""

import json

from lstm_probe.runs.making import show_remarks
from lstm_probe.runs.run import RUN_FILES
from lstm_probe.runs.schema import SCHEMA
from lstm_probe.runs.store import config_hash


def make_up(monkeypatch, law):
    """Let every training score what `law(units, seed)` says, of every target or by name; returns what was trained.

    A training whose score is None is interrupted.
    """
    trained = []

    def make(settings, resolved, measuring, folder, name):
        from lstm_probe.tasks import get_task

        assert measuring.names == () and settings.measure == "none"
        task, told = get_task(**settings.task), law(settings.units, settings.seed)
        show_remarks(task)
        if told is None:
            raise KeyboardInterrupt
        trained.append((settings.units, settings.seed))
        scores = told if isinstance(told, dict) else {target.name: told for target in task.targets}
        for file in RUN_FILES:
            if file != "config.yaml":
                (folder / file).write_text("")
        info = {
            "schema": SCHEMA, "status": "finished", "run": name, "task": task.name, "units": settings.units,
            "seed": settings.seed, "hash": config_hash(resolved), "scores": scores, "learned": {}, "measured": [],
            "solved": task.solved(scores), "seconds": {"train": 2.0},
            "finished": "2026-01-01T00:00:00+00:00",
        }  # fmt: skip
        (folder / "run.json").write_text(json.dumps(info))

    monkeypatch.setattr("lstm_probe.runs.training.make", make)
    return trained
