"""What the network needs: units clamped alone and at once, and how few of them are enough."""

from lstm_probe.causal.ablation import ablate_units
from lstm_probe.causal.sufficient import sufficient_units

__all__ = ["ablate_units", "sufficient_units"]
