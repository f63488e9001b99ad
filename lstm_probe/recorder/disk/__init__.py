"""Recordings larger than memory."""
