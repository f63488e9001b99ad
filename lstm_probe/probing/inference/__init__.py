"""Scores, intervals, nulls and baselines."""
