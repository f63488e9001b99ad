"""Fits in closed form, from sums."""
