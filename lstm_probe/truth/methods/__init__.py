"""Methods, ours and those that people pick instead, behind one small interface."""

from collections.abc import Mapping

from lstm_probe.truth.methods.foreign import FOREIGN
from lstm_probe.truth.methods.further import FURTHER, there
from lstm_probe.truth.methods.method import NO_LAYERS as NO_LAYERS
from lstm_probe.truth.methods.method import NO_PROJECTION as NO_PROJECTION
from lstm_probe.truth.methods.method import Function as Function
from lstm_probe.truth.methods.method import Method as Method
from lstm_probe.truth.methods.ours import OURS

#: By name: ours first.
METHODS: Mapping[str, Method] = {**OURS, **FOREIGN, **FURTHER}


def installed() -> Mapping[str, Method]:
    """Return the methods of `METHODS` that can run here; of those whose library is missing it is said."""
    return there(METHODS)
