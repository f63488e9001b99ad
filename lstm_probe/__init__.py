"""What does each LSTM unit learn to remember, which units does the network use, and how many are needed?

The public names come when they are first used, so that importing the package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lstm_probe import figures as figures
    from lstm_probe import planted as planted
    from lstm_probe import truth as truth
    from lstm_probe.capacity.dimension import effective_dimension as effective_dimension
    from lstm_probe.capacity.shrink import Shrunk as Shrunk
    from lstm_probe.capacity.shrink import shrink as shrink
    from lstm_probe.capacity.used import used_units as used_units
    from lstm_probe.causal import ablate_sets as ablate_sets
    from lstm_probe.causal import ablate_units as ablate_units
    from lstm_probe.causal import compare_modes as compare_modes
    from lstm_probe.causal import erase_signals as erase_signals
    from lstm_probe.causal import needed_sets as needed_sets
    from lstm_probe.causal import steer as steer
    from lstm_probe.causal import sufficient_units as sufficient_units
    from lstm_probe.causal import unit_pairs as unit_pairs
    from lstm_probe.causal import unit_shares as unit_shares
    from lstm_probe.causal.against import rank_correlations as rank_correlations
    from lstm_probe.causal.against import tracked_against_needed as tracked_against_needed
    from lstm_probe.causal.directions import patch_directions as patch_directions
    from lstm_probe.causal.patches import patch_sets as patch_sets
    from lstm_probe.causal.patches import patch_units as patch_units
    from lstm_probe.cells.declared import Cell as Cell
    from lstm_probe.cells.declared import Variable as Variable
    from lstm_probe.cells.known import get_cell as get_cell
    from lstm_probe.cells.module import GatedRNN as GatedRNN
    from lstm_probe.core.anatomy import describe as describe
    from lstm_probe.core.errors import InputError as InputError
    from lstm_probe.core.kinds import Signal as Signal
    from lstm_probe.core.signal import Batch as Batch
    from lstm_probe.core.target import Target as Target
    from lstm_probe.dynamics.fixed_points import fixed_points as fixed_points
    from lstm_probe.dynamics.flow import memory_flow as memory_flow
    from lstm_probe.dynamics.state_space import state_space as state_space
    from lstm_probe.dynamics.timescales import timescales as timescales
    from lstm_probe.formats import Imported as Imported
    from lstm_probe.formats import from_tensorflow1 as from_tensorflow1
    from lstm_probe.formats import load_weights as load_weights
    from lstm_probe.formats.write import export as export
    from lstm_probe.network.model import SequenceModel as SequenceModel
    from lstm_probe.network.stack import stack as stack
    from lstm_probe.probing import Split as Split
    from lstm_probe.probing import probe_populations as probe_populations
    from lstm_probe.probing import probe_units as probe_units
    from lstm_probe.probing.analyses.aligned import aligned_averages as aligned_averages
    from lstm_probe.probing.analyses.clusters import unit_clusters as unit_clusters
    from lstm_probe.probing.analyses.coding import signal_codes as signal_codes
    from lstm_probe.probing.analyses.coding import unit_codes as unit_codes
    from lstm_probe.probing.analyses.confounds import partial_effects as partial_effects
    from lstm_probe.probing.analyses.confounds import signal_correlations as signal_correlations
    from lstm_probe.probing.analyses.conjunctions import conjunctions as conjunctions
    from lstm_probe.probing.analyses.cross_time import cross_time as cross_time
    from lstm_probe.probing.analyses.cross_time import stability as stability
    from lstm_probe.probing.analyses.curved import curved_units as curved_units
    from lstm_probe.probing.analyses.description import description_length as description_length
    from lstm_probe.probing.analyses.learning import acquired as acquired
    from lstm_probe.probing.analyses.learning import learning_curves as learning_curves
    from lstm_probe.probing.analyses.matching import match_units as match_units
    from lstm_probe.probing.analyses.matching import network_similarity as network_similarity
    from lstm_probe.probing.analyses.memory import memory_curves as memory_curves
    from lstm_probe.probing.analyses.memory import memory_spans as memory_spans
    from lstm_probe.probing.analyses.power import power as power
    from lstm_probe.probing.analyses.seeds import across_seeds as across_seeds
    from lstm_probe.probing.analyses.sparse import sparse_paths as sparse_paths
    from lstm_probe.probing.analyses.tuning import tuning_curves as tuning_curves
    from lstm_probe.probing.analyses.universal import universal_units as universal_units
    from lstm_probe.recorder import Recording as Recording
    from lstm_probe.recorder import StoredRecording as StoredRecording
    from lstm_probe.recorder import open_recording as open_recording
    from lstm_probe.recorder import record as record
    from lstm_probe.recorder import recording as recording
    from lstm_probe.runs.analyses import columns as columns
    from lstm_probe.runs.findings import answer as answer
    from lstm_probe.runs.findings import unit_cards as unit_cards
    from lstm_probe.runs.latex import to_latex as to_latex
    from lstm_probe.runs.many import Runs as Runs
    from lstm_probe.runs.many import load_runs as load_runs
    from lstm_probe.runs.opening import find_runs as find_runs
    from lstm_probe.runs.run import load_run as load_run
    from lstm_probe.sizing.recurring import match_runs as match_runs
    from lstm_probe.sizing.search import size as size
    from lstm_probe.tasks import Task as Task
    from lstm_probe.tasks import get_task as get_task
    from lstm_probe.tasks import list_tasks as list_tasks
    from lstm_probe.tasks import register_task as register_task

    __version__: str

#: Where each public name is at home. One more takes a line here, and one above for type checkers.
_HOMES = {
    "Shrunk": "lstm_probe.capacity.shrink",
    "effective_dimension": "lstm_probe.capacity.dimension",
    "shrink": "lstm_probe.capacity.shrink",
    "used_units": "lstm_probe.capacity.used",
    "ablate_sets": "lstm_probe.causal",
    "ablate_units": "lstm_probe.causal",
    "compare_modes": "lstm_probe.causal",
    "erase_signals": "lstm_probe.causal",
    "needed_sets": "lstm_probe.causal",
    "steer": "lstm_probe.causal",
    "sufficient_units": "lstm_probe.causal",
    "rank_correlations": "lstm_probe.causal.against",
    "tracked_against_needed": "lstm_probe.causal.against",
    "patch_directions": "lstm_probe.causal.directions",
    "patch_sets": "lstm_probe.causal.patches",
    "patch_units": "lstm_probe.causal.patches",
    "unit_pairs": "lstm_probe.causal",
    "unit_shares": "lstm_probe.causal",
    "Cell": "lstm_probe.cells.declared",
    "Variable": "lstm_probe.cells.declared",
    "GatedRNN": "lstm_probe.cells.module",
    "get_cell": "lstm_probe.cells.known",
    "InputError": "lstm_probe.core.errors",
    "describe": "lstm_probe.core.anatomy",
    "fixed_points": "lstm_probe.dynamics.fixed_points",
    "state_space": "lstm_probe.dynamics.state_space",
    "memory_flow": "lstm_probe.dynamics.flow",
    "timescales": "lstm_probe.dynamics.timescales",
    "export": "lstm_probe.formats.write",
    "Imported": "lstm_probe.formats",
    "from_tensorflow1": "lstm_probe.formats",
    "load_weights": "lstm_probe.formats",
    "SequenceModel": "lstm_probe.network.model",
    "stack": "lstm_probe.network.stack",
    "Split": "lstm_probe.probing",
    "probe_populations": "lstm_probe.probing",
    "probe_units": "lstm_probe.probing",
    "partial_effects": "lstm_probe.probing.analyses.confounds",
    "signal_correlations": "lstm_probe.probing.analyses.confounds",
    "signal_codes": "lstm_probe.probing.analyses.coding",
    "unit_codes": "lstm_probe.probing.analyses.coding",
    "conjunctions": "lstm_probe.probing.analyses.conjunctions",
    "cross_time": "lstm_probe.probing.analyses.cross_time",
    "stability": "lstm_probe.probing.analyses.cross_time",
    "curved_units": "lstm_probe.probing.analyses.curved",
    "description_length": "lstm_probe.probing.analyses.description",
    "unit_clusters": "lstm_probe.probing.analyses.clusters",
    "match_units": "lstm_probe.probing.analyses.matching",
    "network_similarity": "lstm_probe.probing.analyses.matching",
    "universal_units": "lstm_probe.probing.analyses.universal",
    "aligned_averages": "lstm_probe.probing.analyses.aligned",
    "acquired": "lstm_probe.probing.analyses.learning",
    "learning_curves": "lstm_probe.probing.analyses.learning",
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
    "recording": "lstm_probe.recorder",
    "answer": "lstm_probe.runs.findings",
    "unit_cards": "lstm_probe.runs.findings",
    "columns": "lstm_probe.runs.analyses",
    "to_latex": "lstm_probe.runs.latex",
    "Runs": "lstm_probe.runs.many",
    "load_runs": "lstm_probe.runs.many",
    "find_runs": "lstm_probe.runs.opening",
    "load_run": "lstm_probe.runs.run",
    "match_runs": "lstm_probe.sizing.recurring",
    "size": "lstm_probe.sizing.search",
    "Batch": "lstm_probe.core.signal",
    "Signal": "lstm_probe.core.kinds",
    "Target": "lstm_probe.core.target",
    "Task": "lstm_probe.tasks",
    "get_task": "lstm_probe.tasks",
    "list_tasks": "lstm_probe.tasks",
    "register_task": "lstm_probe.tasks",
}

#: Modules that are public as a whole.
_MODULES = ("figures", "planted", "truth")

__all__ = sorted([*_HOMES, *_MODULES, "__version__"])


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
