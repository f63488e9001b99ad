"""Formal languages, and a small natural one."""
