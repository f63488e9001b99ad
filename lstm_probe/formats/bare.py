"""The readout of a recurrent layer among bare weights, where no graph says what reads what.

It is what can hardly be anything else.
It stands beside that layer (the same parent), right behind it, is the network's last layer, and no other layer could be
meant. Else there is none, unless the user names it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lstm_probe.core.errors import InputError, nearest
from lstm_probe.formats.choosing import and_words

_IN_FRONT = re.compile(r"(^|[._/])(in|inp|input|inputs|pre|prenet|encoder|enc|embed\w*)(?=$|[._/0-9])")


@dataclass(frozen=True)
class Layer:
    """A layer by its weights.

    Args:
        name: dotted, or with slashes.
        linear: (outputs, width) of a matrix that may be a linear layer's, None where it is anything else.
        bias: whether it has a bias beside the matrix; without one it may be an embedding as well.
        kind: what a recurrent one is called.
    """

    name: str
    linear: tuple[int, int] | None = None
    bias: bool = False
    kind: str = "LSTM"

    @property
    def parent(self) -> str:
        """Return the name of what the layer is in."""
        return self.name.replace("/", ".").rpartition(".")[0]

    @property
    def is_table(self) -> bool:
        """Return whether it is an embedding, by its name."""
        return self.linear is not None and not self.bias and "emb" in self.name.lower()


def named(layers: Sequence[Layer], width: int, wanted: str) -> tuple[str, str]:
    """Return the name of the layer that the user says is the readout, and a note on it.

    Raises:
        InputError: no linear layer of that name reads an h of that width.
    """
    fits = [layer.name for layer in layers if layer.linear and layer.linear[1] == width and not layer.is_table]
    ends = [name for name in fits if name == wanted or name.replace("/", ".").endswith(f".{wanted}")]
    if wanted in fits or len(ends) == 1:
        name = wanted if wanted in fits else ends[0]
        return name, f"readout {name}: as told"
    there = f"there is {and_words(fits)}" if fits else "there is none"
    raise InputError(f"readout={wanted}: no linear layer of h's width {width}; {there}.{nearest(wanted, fits)}")


def unproven(layers: Sequence[Layer], lstm: Layer, width: int, inputs: int, ordered: bool) -> tuple[str | None, str]:
    """Return the name of the one layer that can hardly be anything but the readout, None where there is none; a note.

    Args:
        layers: all of the network, the recurrent one among them; in the order in which they were made if `ordered`.
        lstm: the recurrent one.
        width: length of h, both directions together.
        inputs: features of its input.
        ordered: whether the order is known.
    """
    fits = [each for each in layers if each.linear and each.linear[1] == width and not each.is_table]
    if not fits:
        return None, f"no readout taken: of the linear layers none have h's width {width}"
    sure = [each for each in fits if each.bias]
    names = and_words([each.name for each in sure or fits])
    why = f"it has no bias, as an embedding has none ({names})" if not sure else None
    if len(sure) > 1:
        why = f"{names} have h's width {width}"
    elif sure:
        why = _doubt(layers, lstm, sure[0], inputs, ordered)
    if why is None:
        return sure[0].name, f"readout {sure[0].name}: the only layer behind the {lstm.kind}, and of h's width"
    offer = " or ".join(f"readout={each.name}" for each in sure or fits)
    return None, f"no readout taken: {why}, and bare weights do not say what reads the {lstm.kind}; say it with {offer}"


def _doubt(layers: Sequence[Layer], lstm: Layer, layer: Layer, inputs: int, ordered: bool) -> str | None:
    """Return why a layer may not be the readout, None where nothing speaks against it."""
    if layer.parent != lstm.parent:
        return f"{layer.name} is not beside {lstm.name}"
    others = [each for each in layers if each not in (lstm, layer)]
    if ordered:
        at = layers.index(lstm)
        if layers.index(layer) < at:
            return f"{layer.name} stands before the {lstm.kind}"
        others = [each for each in others if layers.index(each) > at]
    else:
        others = [each for each in others if not each.is_table]
        # One that makes the LSTM's inputs of as many numbers as h has is rare, unless all these numbers are the same.
        fits = layer.linear is not None and layer.linear[0] == inputs
        if fits and (layer.linear == (inputs, inputs) or _IN_FRONT.search(layer.name.lower())):
            return f"{layer.name} may stand before the {lstm.kind} as well as behind it"
    if others:
        return f"there is {and_words([each.name for each in others[:3]])} too beside {layer.name}"
    return None
