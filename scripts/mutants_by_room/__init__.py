"""The mutants, in tables by room."""

from . import (
    capacity,
    causal,
    claims,
    docs,
    dynamics,
    edges,
    erasure,
    explorer,
    figures,
    findings,
    fixed_points,
    formats,
    inference,
    learning,
    matching,
    network,
    patches,
    places,
    probing,
    recorder,
    reproduced,
    shown,
    sizing,
    sufficient,
    sweeps,
    tables,
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
        docs,
        dynamics,
        edges,
        places,
        explorer,
        reproduced,
        shown,
        sweeps,
        terminal,
        tables,
    )
    for mutant in table.MUTANTS
)
