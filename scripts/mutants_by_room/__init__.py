"""The mutants, in tables by room."""

from . import (
    capacity,
    causal,
    claims,
    dynamics,
    edges,
    erasure,
    figures,
    findings,
    fixed_points,
    formats,
    inference,
    learning,
    matching,
    network,
    patches,
    probing,
    recorder,
    reproduced,
    shown,
    sizing,
    sufficient,
    tasks,
    terminal,
    used,
)
from .mutant import Mutant

__all__ = ["MUTANTS", "Mutant"]

MUTANTS = tuple(
    mutant
    for table in (
        recorder,
        formats,
        network,
        tasks,
        probing,
        inference,
        learning,
        claims,
        matching,
        findings,
        causal,
        erasure,
        patches,
        capacity,
        figures,
        fixed_points,
        sufficient,
        sizing,
        used,
        dynamics,
        edges,
        reproduced,
        shown,
        terminal,
    )
    for mutant in table.MUTANTS
)
