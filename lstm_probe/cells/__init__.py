"""Recurrent cells as declarations, and a module that runs any of them."""

from lstm_probe.cells.declared import Cell, Variable
from lstm_probe.cells.known import cell_of, get_cell
from lstm_probe.cells.module import GatedRNN

__all__ = ["Cell", "GatedRNN", "Variable", "cell_of", "get_cell"]
