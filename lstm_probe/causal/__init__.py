"""What the network needs: interventions on units, alone and together."""

from lstm_probe.causal.ablation import ablate_sets, ablate_units, needed_sets

__all__ = ["ablate_sets", "ablate_units", "needed_sets"]
