"""What the network uses: ablation of single units."""

from lstm_probe.causal.ablation import ablate_units
from lstm_probe.causal.pairs import unit_pairs
from lstm_probe.causal.shares import unit_shares

__all__ = ["ablate_units", "unit_pairs", "unit_shares"]
