"""Hand-built LSTMs: what every unit remembers is known without training, to test probes with.

>>> import lstm_probe as lp
>>> parts = [lp.planted.Counter(), lp.planted.Latch(), lp.planted.Parity()]
>>> net = lp.planted.combine(parts, random_units=5, seed=0)
>>> batch = net.sample(64, length=40, seed=1)
>>> rec = lp.record(net.model, batch.inputs)
>>> bool((rec.c[..., net.where["parity"]] == batch.signals["parity"].values).all())
True
>>> scores = lp.probe_units(rec, batch.signals, variables=["c"], permutations=199, bootstrap=2)
>>> dict(zip(scores[scores.tracks].signal, scores[scores.tracks].unit)) == net.where
True
>>> effect = lp.ablate_units(net.model, batch)
>>> needed = effect[effect.needed == "alone"]
>>> dict(zip(needed.target, needed.unit)) == net.where
True
>>> lp.planted.dyck(8, 5).model.lstm.hidden_size
40
"""

from typing import Any

from lstm_probe.planted.decoys import Cancel, Constants, DeadEnd, Decoy, LookAlike, Shut
from lstm_probe.planted.drift import Drift
from lstm_probe.planted.dyck import Dyck
from lstm_probe.planted.knobs import Behind, Knob, Noisy, Redundant, Soft, Xor
from lstm_probe.planted.mixtures import Mixed, Rotated
from lstm_probe.planted.network import Planted, combine, compile
from lstm_probe.planted.order import Compare, Since
from lstm_probe.planted.rotation import rotate, rotation
from lstm_probe.planted.shared import Hearing
from lstm_probe.planted.truth import Truth, brute_force
from lstm_probe.planted.units import Counter, Latch, Parity
from lstm_probe.planted.values import FirstValues, Leak, Recall
from lstm_probe.planted.wiring import Component

__all__ = [
    "Behind", "Cancel", "Compare", "Component", "Constants", "Counter", "DeadEnd", "Decoy", "Drift", "Dyck",
    "FirstValues", "Hearing", "Knob", "Latch", "Leak", "LookAlike", "Mixed", "Noisy", "Parity", "Planted", "Recall",
    "Redundant", "Rotated", "Shut", "Since", "Soft", "Truth", "Xor", "brute_force", "combine", "compile", "counter",
    "dyck", "latch", "parity", "rotate", "rotation",
]  # fmt: skip


def counter(random_units: int = 0, *, listening: bool = False, seed: int = 0, **fields: Any) -> Planted:
    """Return a network with one `Counter(**fields)`; see `combine`."""
    return combine([Counter(**fields)], random_units, listening=listening, seed=seed)


def latch(random_units: int = 0, *, listening: bool = False, seed: int = 0, **fields: Any) -> Planted:
    """Return a network with one `Latch(**fields)`; see `combine`."""
    return combine([Latch(**fields)], random_units, listening=listening, seed=seed)


def parity(random_units: int = 0, *, listening: bool = False, seed: int = 0, **fields: Any) -> Planted:
    """Return a network with one `Parity(**fields)`; see `combine`."""
    return combine([Parity(**fields)], random_units, listening=listening, seed=seed)


def dyck(k: int, m: int, random_units: int = 0, *, listening: bool = False, seed: int = 0) -> Planted:
    """Return a network with one `Dyck(kinds=k, max_depth=m)`; see `combine`."""
    return combine([Dyck(kinds=k, max_depth=m)], random_units, listening=listening, seed=seed)
