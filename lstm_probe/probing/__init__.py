"""Which unit, and which units together, track which signal."""

from lstm_probe.probing.analyses.populations import probe_populations
from lstm_probe.probing.analyses.units import probe_units
from lstm_probe.probing.data.split import Split

__all__ = ["Split", "probe_populations", "probe_units"]
