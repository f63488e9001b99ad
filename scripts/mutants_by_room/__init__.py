"""The mutants, a table for each room."""

from . import formats, network, recorder
from .mutant import Mutant

__all__ = ["MUTANTS", "Mutant"]

MUTANTS = (
    *recorder.MUTANTS,
    *formats.MUTANTS,
    *network.MUTANTS,
)
