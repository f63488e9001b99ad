"""What is probed: signals, splits, lags."""
