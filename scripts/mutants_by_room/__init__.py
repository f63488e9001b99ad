"""The mutants, in tables by room."""

from . import (
    capacity,
    causal,
    claims,
    edges,
    figures,
    findings,
    fixed_points,
    formats,
    inference,
    network,
    probing,
    recorder,
    sizing,
    sufficient,
    tasks,
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
        claims,
        findings,
        causal,
        capacity,
        figures,
        fixed_points,
        sufficient,
        sizing,
        used,
        edges,
    )
    for mutant in table.MUTANTS
)
