"""Recording: the six variables of every unit of every layer and direction at every step."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lstm_probe.cells.declared import Cell
from lstm_probe.cells.lstm import LSTM
from lstm_probe.core.errors import InputError
from lstm_probe.core.shown import Shown, Told
from lstm_probe.core.vocabulary import VARIABLES
from lstm_probe.recorder.agreement import Check, checks_table
from lstm_probe.recorder.config import LSTMConfig
from lstm_probe.recorder.told import layer_told, recording_told

if TYPE_CHECKING:
    import pandas as pd
    import xarray

    from lstm_probe.recorder.weights import Weights

Padding = Literal["right", "left"]


def check_variables(variables: Sequence[str] | None, cell: Cell = LSTM) -> tuple[str, ...]:
    """Return these variables, all of a cell's for None; an InputError unless they are some of its own."""
    if variables is None:
        return cell.names
    meant = cell.all_meant(variables)
    unknown = [v for v in meant if v not in cell.names]
    if unknown or not meant:
        raise InputError(f"variables={' '.join(unknown)}: must be among {' '.join(cell.names)}")
    return meant


@dataclass(frozen=True, repr=False)
class LayerRecording(Shown):
    """One layer in one direction: what went in, and the recorded variables; those not asked for are None.

    `h` is (sequence, time, output), the others (sequence, time, unit); output equals unit unless there is a
    projection. Steps beyond a sequence's length mean nothing. In the reverse direction step t still is the t-th
    position of the sequence, where the layer arrives after having read everything after it.

    The variables of an LSTM are fields; `more` has those of other cells that no LSTM has, which can be read as
    attributes, too: `part.z`. `cell` says what they are.
    """

    layer: int
    direction: str
    inputs: Float[Tensor, "sequence time feature"]
    h: Float[Tensor, "sequence time output"] | None = None
    c: Float[Tensor, "sequence time unit"] | None = None
    i: Float[Tensor, "sequence time unit"] | None = None
    f: Float[Tensor, "sequence time unit"] | None = None
    g: Float[Tensor, "sequence time unit"] | None = None
    o: Float[Tensor, "sequence time unit"] | None = None
    more: Mapping[str, Tensor] = field(default_factory=dict)
    cell: Cell = LSTM

    @classmethod
    def of(
        cls, layer: int, direction: str, inputs: Tensor, values: Mapping[str, Tensor], cell: Cell = LSTM
    ) -> "LayerRecording":
        """Return it from variables by name, whatever cell they are of."""
        own = {v: values[v] for v in VARIABLES if v in values}
        return cls(layer, direction, inputs, **own, more={v: t for v, t in values.items() if v not in own}, cell=cell)

    def _told(self) -> Told:
        return layer_told(self)

    def __getattr__(self, name: str) -> Tensor:
        """Return a variable that no LSTM has."""
        more = self.__dict__.get("more", {})
        if name in more:
            found: Tensor = more[name]
            return found
        raise AttributeError(f"{type(self).__name__} has no {name}")

    def __getitem__(self, variable: str) -> Tensor:
        """Return one variable by its letter."""
        values: Tensor | None = getattr(self, variable) if variable in VARIABLES else self.more.get(variable)
        if values is None:
            raise InputError(f"variable={variable}: not recorded; there are {' '.join(self.variables)}")
        return values

    @property
    def variables(self) -> tuple[str, ...]:
        """Return which variables were recorded."""
        return (*(v for v in VARIABLES if getattr(self, v) is not None), *self.more)

    def map(self, change: Callable[[Tensor], Tensor]) -> "LayerRecording":
        """Return the layer with its inputs and every variable changed by `change`."""
        values = {v: change(self[v]) for v in self.variables}
        return LayerRecording.of(self.layer, self.direction, change(self.inputs), values, self.cell)


@dataclass(repr=False)
class Recording(Shown):
    """Everything recorded of an LSTM on a batch of sequences.

    `rec.c` is the memory where there is one layer and one direction; else say which: `rec[1].c` is the second
    layer's, `rec[1, "reverse"].c` that of its backward direction.

    Attributes:
        parts: by layer and direction.
        lengths: how many steps of each sequence are real; they are always the first.
        config: of the LSTM.
        checks: what was compared with the module's own output; nothing for a recording made by hand.
        padding: "left" where the module's inputs were padded in front, and signals given as plain arrays are, too.
        weights: copies of those that the sequences ran with, by layer and direction: one mapping, or several where they
            changed on the way; nothing for a recording made by hand.
        ran_with: which of them each sequence ran with; -1 for none, as where they changed within a sequence.
    """

    parts: Mapping[tuple[int, str], LayerRecording]
    lengths: Int[Tensor, " sequence"]
    config: LSTMConfig
    checks: tuple[Check, ...] = ()
    padding: Padding = "right"
    weights: tuple[Mapping[tuple[int, str], "Weights"], ...] = ()
    ran_with: Int[Tensor, " sequence"] | None = None

    def _told(self) -> Told:
        return recording_told(self)

    def __getitem__(self, key: int | tuple[int, str]) -> LayerRecording:
        layer, direction = key if isinstance(key, tuple) else (key, "forward")
        if (layer, direction) not in self.parts:
            legal = ", ".join(f"rec[{k}]" if d == "forward" else f'rec[{k}, "{d}"]' for k, d in self.parts)
            raise InputError(f'rec[{layer}, "{direction}"]: no such layer and direction; there are {legal}')
        return self.parts[layer, direction]

    def __iter__(self) -> Iterator[LayerRecording]:
        """Go through layers and directions, lowest layer first."""
        return iter(self.parts.values())

    def __len__(self) -> int:
        """Return how many sequences were recorded."""
        return len(self.lengths)

    @property
    def _only(self) -> LayerRecording:
        if len(self.parts) > 1:
            raise InputError(
                f"this recording has {self.config.layers} layers and {1 + self.config.bidirectional} direction(s): "
                'say which, as in rec[0].c or rec[0, "reverse"].c'
            )
        return next(iter(self.parts.values()))

    @property
    def inputs(self) -> Float[Tensor, "sequence time feature"]:
        """What really went into the lowest layer."""
        return next(iter(self.parts.values())).inputs

    @property
    def mask(self) -> Bool[Tensor, "sequence time"]:
        """True where a step is real."""
        return torch.arange(self.inputs.shape[1], device=self.lengths.device) < self.lengths.unsqueeze(1)

    @property
    def h(self) -> Float[Tensor, "sequence time output"]:
        """Output."""
        return self._only["h"]

    @property
    def c(self) -> Float[Tensor, "sequence time unit"]:
        """Cell state (memory)."""
        return self._only["c"]

    @property
    def i(self) -> Float[Tensor, "sequence time unit"]:
        """Input gate."""
        return self._only["i"]

    @property
    def f(self) -> Float[Tensor, "sequence time unit"]:
        """Forget gate."""
        return self._only["f"]

    @property
    def g(self) -> Float[Tensor, "sequence time unit"]:
        """Cell input."""
        return self._only["g"]

    @property
    def o(self) -> Float[Tensor, "sequence time unit"]:
        """Output gate."""
        return self._only["o"]

    def __getattr__(self, name: str) -> Tensor:
        """Return a variable that no LSTM has, by its name: `rec.z`."""
        config = self.__dict__.get("config")
        if config is not None and name in config.cell.names:
            return self._only[name]
        raise AttributeError(f"{type(self).__name__} has no {name}")

    def to_xarray(self) -> "xarray.Dataset":
        """Return an xarray Dataset with named dimensions; see `recorder.views.to_xarray`."""
        from lstm_probe.recorder.views import to_xarray

        return to_xarray(self)

    def to_frame(self) -> "pd.DataFrame":
        """Return a tidy table of all real steps; see `recorder.views.to_frame`."""
        from lstm_probe.recorder.views import to_frame

        return to_frame(self)

    def summary(self) -> "pd.DataFrame":
        """Return range, saturation and dead units in a table; see `recorder.views.summary`."""
        from lstm_probe.recorder.views import summary

        return summary(self)

    def check(self) -> "pd.DataFrame":
        """Return what was compared with what the module itself returned when this was recorded, and how well it agrees.

        One row for each call, layer and direction: `compared` says what, `difference` is the largest one, `scale`
        the largest value compared, `tolerance` the most that the difference may be; a recording that does not agree
        is refused when it is made. A recording made by hand has no rows.
        """
        return checks_table(self.checks)

    def select(self, variables: Sequence[str]) -> "Recording":
        """Return the same recording with these variables alone."""
        parts = {
            key: LayerRecording.of(part.layer, part.direction, part.inputs, {v: part[v] for v in variables}, part.cell)
            for key, part in self.parts.items()
        }
        return replace(self, parts=parts)

    def cpu(self) -> "Recording":
        """Return the recording in the memory of the processor; itself where it is there already."""
        if self.lengths.device.type == "cpu" and self.inputs.device.type == "cpu":
            return self
        weights = tuple({key: own.cpu() for key, own in one.items()} for one in self.weights)
        ran_with = None if self.ran_with is None else self.ran_with.cpu()
        parts = {key: part.map(Tensor.cpu) for key, part in self.parts.items()}
        return replace(self, parts=parts, lengths=self.lengths.cpu(), weights=weights, ran_with=ran_with)

    def rows(self, sequences: Int[Tensor, " some"]) -> "Recording":
        """Return the recording of these sequences alone."""
        parts = {key: part.map(lambda values: values[sequences]) for key, part in self.parts.items()}
        ran_with = None if self.ran_with is None else self.ran_with[sequences]
        return replace(self, parts=parts, lengths=self.lengths[sequences], ran_with=ran_with)
