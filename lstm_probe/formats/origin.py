"""How a network began, as far as a Keras file says it by the names of its initializers."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lstm_probe.core.vocabulary import UNKNOWN
from lstm_probe.recorder.data import LSTMConfig

#: By our name: what a file calls the initializers of kernels and of recurrent kernels, in lower case, without "_".
NAMES = {
    "keras": ({"glorotuniform", "variancescaling fan_avg uniform"}, {"orthogonal", "orthogonalinitializer"}),
    "torch": ({"randomuniform"}, {"randomuniform"}),
}


def written(config: LSTMConfig) -> dict[str, Any]:
    """Return the settings of a Keras layer that say how it began; nothing where that is unknown, or Keras's own way."""
    if config.init != "torch":
        return {}
    bound = 1 / np.sqrt(config.units)
    uniform = {
        "module": "keras.initializers", "class_name": "RandomUniform", "registered_name": None,
        "config": {"minval": -bound, "maxval": bound, "seed": None},
    }  # fmt: skip
    return {"kernel_initializer": uniform, "recurrent_initializer": uniform}


def read(layers: Sequence[Mapping[str, Any]], biased: bool) -> tuple[str, float | None]:
    """Return the initialisation and the forget bias of layers with these settings; unknown where they don't say."""
    forget_bias = None
    if biased and all("unit_forget_bias" in own for own in layers):
        forget_bias = float(all(own["unit_forget_bias"] for own in layers))
    for init, legal in NAMES.items():
        keys = ("kernel_initializer", "recurrent_initializer")
        if all(_name(own.get(key)) in names for own in layers for key, names in zip(keys, legal)):
            return init, forget_bias
    return UNKNOWN, forget_bias


def _name(initializer: Any) -> str:
    """Return an initializer's name, whether it stands there alone or with its settings."""
    if isinstance(initializer, str):
        return initializer.replace("_", "").lower()
    if not isinstance(initializer, Mapping):
        return ""
    name, own = str(initializer.get("class_name", "")).replace("_", "").lower(), initializer.get("config") or {}
    if name == "variancescaling" and own.get("scale") == 1:
        return f"{name} {own.get('mode')} {own.get('distribution')}"
    return name
