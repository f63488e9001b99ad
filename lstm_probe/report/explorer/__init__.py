"""What the explorer in a run's page shows: from the run's tables and examples to data that JSON can say."""

from lstm_probe.report.explorer.data import explorer_data

__all__ = ["explorer_data"]
