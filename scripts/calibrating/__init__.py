"""Parts of `scripts/calibration.py`."""
