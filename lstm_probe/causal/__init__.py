"""What the network needs: interventions on units, alone and together, and how few of them are enough."""

from lstm_probe.causal.ablation import ablate_sets, ablate_units, needed_sets
from lstm_probe.causal.erasure import erase_signals
from lstm_probe.causal.modes import compare_modes
from lstm_probe.causal.pairs import unit_pairs
from lstm_probe.causal.shares import unit_shares
from lstm_probe.causal.steering import steer
from lstm_probe.causal.sufficient import sufficient_units

__all__ = [
    "ablate_sets", "ablate_units", "compare_modes", "erase_signals", "needed_sets", "steer", "sufficient_units",
    "unit_pairs", "unit_shares",
]  # fmt: skip
