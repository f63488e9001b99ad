"""How a network began, as far as a Keras file says it by its initializers."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lstm_probe.cells.lstm import LSTM
from lstm_probe.core.vocabulary import UNKNOWN
from lstm_probe.recorder.config import LSTMConfig

#: By our name: what a file calls the initializers of kernels and of recurrent kernels; see `_name`.
NAMES = {
    "keras": ({"glorotuniform", "variancescaling fan_avg uniform"}, {"orthogonal", "orthogonalinitializer"}),
    "torch": ({"uniform within 1/√units"}, {"uniform within 1/√units"}),
}


def written(config: LSTMConfig) -> dict[str, Any]:
    """Return the settings of a Keras layer that say how it began, if Keras has words for it.

    All else is given a usual initializer that says nothing: a layer without one is Keras's own way, once Keras has
    stored it again.
    """
    if config.init == "keras" and (config.cell == LSTM or not config.forget_bias):
        return {"kernel_initializer": "glorot_uniform", "recurrent_initializer": "orthogonal"}
    if config.init != "torch" or (config.cell != LSTM and config.forget_bias):
        return {"kernel_initializer": "glorot_normal", "recurrent_initializer": "orthogonal"}
    bound = float(1 / np.sqrt(config.units))
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
        if all(_name(own.get(key), own) in names for own in layers for key, names in zip(keys, legal)) and all(
            _name(own.get("bias_initializer", "zeros"), own) == "zeros" for own in layers
        ):
            return init, forget_bias
    return UNKNOWN, forget_bias


def _name(initializer: Any, own: Mapping[str, Any]) -> str:
    """Return an initializer's name in lower case, without "_", whether it stands there alone or with its settings."""
    if isinstance(initializer, str):
        return initializer.replace("_", "").lower()
    if not isinstance(initializer, Mapping):
        return ""
    name, settings = str(initializer.get("class_name", "")).replace("_", "").lower(), initializer.get("config")
    if not isinstance(settings, Mapping):
        return name
    if name == "variancescaling" and settings.get("scale") == 1:
        return f"{name} {settings.get('mode')} {settings.get('distribution')}"
    if name == "orthogonal" and settings.get("gain", 1) != 1:
        return "orthogonal with a gain"
    units, ends = own.get("units"), [settings.get("minval"), settings.get("maxval")]
    if name == "randomuniform" and isinstance(units, int):
        bound = 1 / max(1, units) ** 0.5
        given = [float(one) for one in ends if isinstance(one, int | float)]
        return "uniform within 1/√units" if np.allclose(given[:2] or [0], [-bound, bound], rtol=1e-6, atol=0) else name
    return name
