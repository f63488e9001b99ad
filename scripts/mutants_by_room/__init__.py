"""The mutants, in tables by room."""

from . import (
    capacity,
    causal,
    claims,
    dynamics,
    edges,
    figures,
    findings,
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
        sufficient,
        sizing,
        used,
        dynamics,
        edges,
    )
    for mutant in table.MUTANTS
)
