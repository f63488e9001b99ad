"""Mutants of what breaks: what a run has reached, lost power, weights that are no numbers, memory."""

from .mutant import Mutant

REACHED = ("tests/runs/test_reached.py",)
POWER = ("tests/runs/test_lost_power.py",)
MEMORY = ("tests/runs/test_phases.py",)
TRAINING = ("tests/network/test_training.py",)
_FILE = "lstm_probe/runs/reached.py"
_MAKING = "lstm_probe/runs/making.py"
_MEASURE = "lstm_probe/runs/measure.py"

MUTANTS = (
    Mutant("faults.what-was-reached-on-any-basis", _FILE,
           'if step is None or step["basis"] != basis:', "if step is None:", REACHED),
    Mutant("faults.what-was-reached-is-not-compared", _FILE,
           'read_told(self.folder, file, step["files"])', "read_regular(self.folder / file)", REACHED),
    Mutant("faults.a-damaged-list-is-believed", _FILE,
           "content = unsealed(read_regular(folder / LIST, LARGEST_JSON))",
           'content = {"digest": 1, "steps": {}} | eval(read_regular(folder / LIST).decode() or "{}")', REACHED),
    Mutant("faults.warnings-are-forgotten", _FILE,
           '        for line in step["warnings"]:\n            log.warning("%s", line)\n', "", REACHED),
    Mutant("faults.the-rest-of-an-attempt-is-published", _FILE,
           "            if path.name not in ours and not path.name.startswith(CHECKPOINT):\n",
           "            if False:\n", REACHED),
    Mutant("faults.what-is-not-asked-for-is-published", _FILE,
           'for file in self._steps.pop(name, {"files": ()})["files"]:', "for file in ():", REACHED),
    Mutant("faults.what-was-compared-is-forgotten", _MEASURE,
           'next((about["checks"] for about in there.values() if about["checks"]), [])', "[]", REACHED),
    Mutant("faults.tables-of-other-settings", _MEASURE,
           '"command": command, "settings": own[command]})', '"command": command})', REACHED),
    Mutant("faults.tables-of-another-network", _MEASURE,
           '("config.yaml", "model.safetensors", CHECKPOINTS)', '("config.yaml", CHECKPOINTS)', REACHED),
    Mutant("faults.tables-at-the-end-only", _MEASURE,
           "        if made is not None:\n            made(analysis.name, tables[analysis.name], seconds)\n",
           "", REACHED),
    Mutant("faults.a-full-disk-takes-what-was-reached", _MAKING,
           "        if not has_reached(partial):\n", "        if True:\n", REACHED),
    Mutant("faults.bad-input-leaves-its-beginnings", _MAKING,
           "        if not earlier:\n", "        if False:\n", REACHED),
    Mutant("faults.a-filled-run-begins-anew", _MAKING,
           "    with making(partial, fresh=False):\n        remove_checkpoints(partial)",
           "    with making(partial, fresh=True):\n        remove_checkpoints(partial)", REACHED),
    Mutant("faults.a-run-is-renamed-before-it-is-on-the-disk", "lstm_probe/core/files.py",
           "    for path in {*partial.rglob(\"*\")} - leftovers:\n        sync(path)\n", "", POWER),
    Mutant("faults.names-are-not-on-the-disk", "lstm_probe/core/files.py",
           "        leftover.unlink()\n    sync(partial)\n", "        leftover.unlink()\n", POWER),
    Mutant("faults.weights-that-are-no-numbers", "lstm_probe/network/training.py",
           "if not all(bool(torch.isfinite(values).all()) for values in weights):", "if False:",
           TRAINING),
    Mutant("faults.only-pythons-own-memory-error", "lstm_probe/runs/phases.py",
           '("can\'t allocate memory", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED")', "()", MEMORY),
)  # fmt: skip
