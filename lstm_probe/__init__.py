"""What does each LSTM unit learn to remember, which units does the network use, and how many are needed?

The public names come when they are first used, so that importing the package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lstm_probe import planted
    from lstm_probe.causal import ablate_units
    from lstm_probe.core.errors import InputError
    from lstm_probe.core.signal import Batch, Signal
    from lstm_probe.core.target import Target
    from lstm_probe.formats import Imported, from_tensorflow1, load_weights
    from lstm_probe.formats.write import export
    from lstm_probe.network.model import SequenceModel
    from lstm_probe.probing import Split, probe_populations, probe_units
    from lstm_probe.probing.analyses.coding import signal_codes, unit_codes
    from lstm_probe.probing.analyses.confounds import partial_effects, signal_correlations
    from lstm_probe.probing.analyses.cross_time import cross_time, stability
    from lstm_probe.probing.analyses.curved import curved_units
    from lstm_probe.probing.analyses.description import description_length
    from lstm_probe.probing.analyses.memory import memory_curves, memory_spans
    from lstm_probe.probing.analyses.power import power
    from lstm_probe.probing.analyses.seeds import across_seeds
    from lstm_probe.probing.analyses.sparse import sparse_paths
    from lstm_probe.probing.analyses.tuning import tuning_curves
    from lstm_probe.recorder import Recording, StoredRecording, open_recording, record
    from lstm_probe.runs.analyses import columns
    from lstm_probe.runs.findings import unit_cards
    from lstm_probe.runs.run import find_runs, load_run
    from lstm_probe.tasks import Task, get_task, list_tasks

    __version__: str

#: Where each public name is at home.
_HOMES = {
    "ablate_units": "lstm_probe.causal",
    "InputError": "lstm_probe.core.errors",
    "export": "lstm_probe.formats.write",
    "Imported": "lstm_probe.formats",
    "from_tensorflow1": "lstm_probe.formats",
    "load_weights": "lstm_probe.formats",
    "SequenceModel": "lstm_probe.network.model",
    "Split": "lstm_probe.probing",
    "probe_populations": "lstm_probe.probing",
    "probe_units": "lstm_probe.probing",
    "partial_effects": "lstm_probe.probing.analyses.confounds",
    "signal_correlations": "lstm_probe.probing.analyses.confounds",
    "signal_codes": "lstm_probe.probing.analyses.coding",
    "unit_codes": "lstm_probe.probing.analyses.coding",
    "cross_time": "lstm_probe.probing.analyses.cross_time",
    "stability": "lstm_probe.probing.analyses.cross_time",
    "curved_units": "lstm_probe.probing.analyses.curved",
    "description_length": "lstm_probe.probing.analyses.description",
    "memory_curves": "lstm_probe.probing.analyses.memory",
    "memory_spans": "lstm_probe.probing.analyses.memory",
    "power": "lstm_probe.probing.analyses.power",
    "across_seeds": "lstm_probe.probing.analyses.seeds",
    "sparse_paths": "lstm_probe.probing.analyses.sparse",
    "tuning_curves": "lstm_probe.probing.analyses.tuning",
    "Recording": "lstm_probe.recorder",
    "StoredRecording": "lstm_probe.recorder",
    "open_recording": "lstm_probe.recorder",
    "record": "lstm_probe.recorder",
    "unit_cards": "lstm_probe.runs.findings",
    "columns": "lstm_probe.runs.analyses",
    "find_runs": "lstm_probe.runs.run",
    "load_run": "lstm_probe.runs.run",
    "Batch": "lstm_probe.core.signal",
    "Signal": "lstm_probe.core.signal",
    "Target": "lstm_probe.core.target",
    "Task": "lstm_probe.tasks",
    "get_task": "lstm_probe.tasks",
    "list_tasks": "lstm_probe.tasks",
}

#: Modules that are public as a whole.
_MODULES = ("planted",)

__all__ = [
    "Batch", "Imported", "InputError", "Recording", "SequenceModel", "Signal", "Split", "StoredRecording",
    "Target", "Task", "__version__", "ablate_units", "across_seeds", "columns", "cross_time", "curved_units",
    "description_length", "export", "find_runs", "from_tensorflow1", "get_task", "list_tasks", "load_run",
    "load_weights", "memory_curves", "memory_spans", "open_recording", "partial_effects", "planted", "power",
    "probe_populations", "probe_units", "record", "signal_codes", "signal_correlations", "sparse_paths",
    "stability", "tuning_curves", "unit_cards", "unit_codes",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("lstm-probe")
    if name in _MODULES:
        return import_module(f"lstm_probe.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
