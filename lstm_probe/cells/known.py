"""Cells by name: those of this project, with their options, and a user's own."""

import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from torch import nn

from lstm_probe.cells.declared import Cell
from lstm_probe.cells.gru import GRU, RNN, gru, rnn
from lstm_probe.cells.lstm import LAYER_NORM, LSTM, janet, lstm, slstm
from lstm_probe.core.errors import InputError, nearest
from lstm_probe.core.files import sha256
from lstm_probe.core.installed import import_own
from lstm_probe.core.vocabulary import CELLS

#: What makes a cell, by the first word of its name; options follow after plus signs.
MAKERS: dict[str, Callable[..., Cell]] = {"lstm": lstm, "gru": gru, "rnn": rnn, "janet": janet, "slstm": slstm}

#: Names without options, and what they stand for.
SHORT = {
    "lstm_no_forget": "lstm+no_forget",
    "lstm_coupled": "lstm+coupled:i",
    "lstm_peepholes": "lstm+peepholes",
    "gru_reset_before": "gru+reset_before",
    "rnn_relu": "rnn+input:relu",
}

#: What configuration offers.
NAMES = CELLS


class UnknownCellError(InputError):
    """A cell that would have to be imported because a file says so."""


def get_cell(name: str, *, trusted: bool = True) -> Cell:
    """Return a cell by its name.

    Args:
        name: one of `NAMES`; with options after plus signs, such as "lstm+peepholes+gates:hard_sigmoid",
            "gru+reset_before", "janet+beta:0"; or "package.module:NAME" for a cell of your own.
        trusted: whether a module that the name tells may be imported; else it has to be imported already.

    Raises:
        InputError: no such cell, or options that it does not have.

    >>> get_cell("gru").names
    ('h', 'r', 'z', 'n')
    >>> get_cell("lstm+peepholes").title
    'LSTM (peepholes)'
    """
    base, *words = SHORT.get(name, name).split("+")
    if base == LAYER_NORM.name and not words:
        return LAYER_NORM
    if base in MAKERS:
        return _made(name, base, tuple(words))
    module, _, attribute = name.partition(":")
    if not attribute:
        legal = list(NAMES)
        raise InputError(f"cell={name}: must be one of {' '.join(legal)}, or package.module:NAME."
                         f"{nearest(name, legal)}")  # fmt: skip
    if not trusted and module not in sys.modules:
        raise UnknownCellError(f"cell={name}: a cell of somebody's own: import {module} first")
    try:
        found = getattr(import_own(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(f"cell={name}: {error}") from error
    if not isinstance(found, Cell):
        raise InputError(f"cell={name}: a {type(found).__name__}; must be a lstm_probe.Cell")
    return found


@lru_cache
def _made(name: str, base: str, words: tuple[str, ...]) -> Cell:
    maker = MAKERS[base]
    takes = {key: parameter.default for key, parameter in inspect.signature(maker).parameters.items()}
    given: dict[str, Any] = {}
    for word in words:
        key, _, value = word.partition(":")
        without = takes.get(key.removeprefix("no_")) is True and key.startswith("no_")
        if without and not value:
            given[key.removeprefix("no_")] = False
        elif key not in takes or takes[key] is True or isinstance(takes[key], bool) == bool(value):
            wrong = f"{base} has no option {word}" if word else "a plus sign without an option behind it"
            raise InputError(f"cell={name}: {wrong}; there are {' '.join(_options(takes))}")
        elif takes[key] is False:
            given[key] = True
        elif isinstance(takes[key], str):
            given[key] = value
        else:
            try:
                given[key] = float(value)
            except ValueError as error:
                raise InputError(f"cell={name}: {key} must be a number") from error
    both = given.get("forget", True) and given.get("input_gate", True)
    if given.get("coupled", "") not in ("", "i", "f") or (given.get("coupled") and not both):
        raise InputError(f"cell={name}: coupled must be i (f = 1 - i) or f (i = 1 - f), of an LSTM with both gates")
    if given.get("gate", "exponential") not in ("exponential", "sigmoid"):
        raise InputError(f"cell={name}: gate must be exponential or sigmoid")
    return maker(**given)


def name_of(name: str) -> str:
    """Return the one name under which configuration keeps a cell that has several.

    Raises:
        InputError: as of `get_cell`.

    >>> name_of("lstm+no_forget"), name_of("gru+gates:sigmoid"), name_of("janet+beta:0")
    ('lstm_no_forget', 'gru', 'janet+beta:0')
    """
    cell = get_cell(name)
    if name.split("+")[0] in MAKERS or name in SHORT:
        return next((short for short, long in SHORT.items() if long == cell.name), cell.name)
    return name


def source_of(cell: Cell) -> str | None:
    """Return the checksum of the file that a cell of somebody's own stands in; None of others, and without a file."""
    module = sys.modules.get(cell.name.partition(":")[0])
    path = Path(getattr(module, "__file__", None) or "")
    return sha256(path) if ":" in cell.name.split("+")[0] and path.is_file() else None


def title_of(name: str) -> str:
    """Return what people call a cell; its name where it is somebody's own and not at hand."""
    try:
        return get_cell(name, trusted=False).title
    except InputError:
        return name


def cell_with(variables: Iterable[str]) -> Cell:
    """Return the first cell of `NAMES` that has all of these variables; an LSTM where none has.

    >>> cell_with(["h", "z"]).title, cell_with(["h", "c"]).title
    ('GRU', 'LSTM')
    """
    wanted = {*variables}
    return next((cell for cell in map(get_cell, NAMES) if wanted <= {*cell.names}), LSTM)


def word_of(variable: str, cell: Cell | None = None) -> str:
    """Return what a variable is, in a word or two; of an LSTM where it is not known of which cell it is.

    >>> word_of("c"), word_of("h", get_cell("gru")), word_of("z")
    ('memory', 'memory', 'variable')
    """
    known = LSTM if cell is None else cell
    return known.word(variable) if variable in known.names else "variable"


def _options(takes: Mapping[str, Any]) -> list[str]:
    words = {True: "no_{}", False: "{}"}
    return [(words[value] if isinstance(value, bool) else "{}:VALUE").format(key) for key, value in takes.items()]


def cell_of(module: nn.Module) -> Cell:
    """Return the cell of a recurrent module.

    Raises:
        InputError: it is none.
    """
    own = getattr(module, "cell", None)
    if isinstance(own, Cell):
        return own
    if isinstance(module, nn.LSTM | nn.LSTMCell):
        return LSTM
    if isinstance(module, nn.GRU | nn.GRUCell):
        return GRU
    if isinstance(module, nn.RNN | nn.RNNCell):
        return RNN if module.nonlinearity == "tanh" else get_cell("rnn_relu")
    raise InputError(f"{type(module).__name__}: no recurrent module")
