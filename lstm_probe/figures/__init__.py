"""Figures: a tidy DataFrame in, a matplotlib Figure out. Nothing here computes statistics.

All are imported at once, because some have the name of their module: a name that came later would be the module.
"""

from lstm_probe.figures.acquisition import acquisition
from lstm_probe.figures.aligned import aligned
from lstm_probe.figures.anatomy import anatomy_figure
from lstm_probe.figures.calibration import calibration
from lstm_probe.figures.capacity import capacity_curves
from lstm_probe.figures.clusters import clusters
from lstm_probe.figures.codes import codes
from lstm_probe.figures.coloured_text import coloured_text
from lstm_probe.figures.confounds import confounds
from lstm_probe.figures.cross_time import cross_time
from lstm_probe.figures.erasure import erasure
from lstm_probe.figures.hardness import hardness
from lstm_probe.figures.learning import learning_curve
from lstm_probe.figures.memory import memory
from lstm_probe.figures.memory_flow import memory_flow
from lstm_probe.figures.recall_law import recall_law
from lstm_probe.figures.reproduction import reproduction
from lstm_probe.figures.saving import save
from lstm_probe.figures.shares import patches, shares
from lstm_probe.figures.size_search import size_search
from lstm_probe.figures.sparse_paths import sparse_paths
from lstm_probe.figures.state_space import state_space
from lstm_probe.figures.sufficient import sufficient
from lstm_probe.figures.task_example import task_example
from lstm_probe.figures.timescales import timescales
from lstm_probe.figures.traces import traces
from lstm_probe.figures.tracked_needed import tracked_needed
from lstm_probe.figures.tuning import tuning
from lstm_probe.figures.units import units_overview
from lstm_probe.figures.used import used
from lstm_probe.figures.used_over_sizes import used_over_sizes

__all__ = [
    "acquisition", "aligned", "anatomy_figure", "calibration", "capacity_curves", "clusters", "codes",
    "coloured_text", "confounds", "cross_time", "erasure", "hardness", "learning_curve", "memory", "memory_flow",
    "patches", "recall_law", "reproduction", "save", "shares", "size_search", "sparse_paths", "state_space",
    "sufficient", "task_example", "timescales", "traces", "tracked_needed", "tuning", "units_overview", "used",
    "used_over_sizes",
]  # fmt: skip
