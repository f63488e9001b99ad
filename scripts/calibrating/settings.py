"""Settings of which the truth is known: data of many shapes with nothing to find, and planted memories to be found.

Most settings were once those in which something false was found most often: sequences that hang together, networks that
were never trained, signals that follow from the present input or from the step.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from scipy.signal import lfilter
from torch import nn

import lstm_probe as lp
from lstm_probe.recorder.config import LSTMConfig
from lstm_probe.recorder.data import LayerRecording, Recording

UNITS, SEQUENCES, STEPS = 16, 64, 30
RATES = (0.005, 0.02, 0.1, 0.9)
PLANTED = {"latch": lp.planted.Latch, "parity": lp.planted.Parity, "counter": lp.planted.Counter}

#: Signals of past inputs, by name: values of (sequence, time) in, the same out.
PAST: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "mean of 3": lambda x: mean_of_last(x, 3),
    "mean of 5": lambda x: mean_of_last(x, 5),
    "mean of 10": lambda x: mean_of_last(x, 10),
    "sign of the mean of 4": lambda x: (mean_of_last(x, 4) > 0).astype(int),
    "leaky sum": lambda x: lfilter([1], [1, -0.8], x, axis=1),
    "running sum": lambda x: np.cumsum(x, axis=1),
}
FOUR = ("leaky sum", "mean of 3", "running sum", "sign of the mean of 4")


@dataclass(frozen=True, eq=False)
class Dataset:
    """What `probe_units` is given.

    Attributes:
        rec: the recording.
        signals: by name.
        options: how it is probed.
        remedy: what its user should say of how sequences hang together, if they do.
        related: whether signals follow from inputs, so that p-values are rightly small, though nothing is remembered.
        truth: the signal that one unit's c holds, and that unit; None where nothing is to be found.
    """

    rec: Recording
    signals: Mapping[str, Any]
    options: Mapping[str, Any] = field(default_factory=dict)
    remedy: Mapping[str, Any] = field(default_factory=dict)
    related: bool = False
    truth: tuple[str, int] | None = None


def mean_of_last(x: np.ndarray, k: int) -> np.ndarray:
    """Return the mean of each step's last k values; what lies before the start counts as 0."""
    return lfilter(np.full(k, 1 / k), [1], x, axis=1)


def white(rng: np.random.Generator, columns: int = 2, n: int = SEQUENCES) -> np.ndarray:
    """Return independent standard normal series of (sequence, time, column)."""
    return rng.normal(size=(n, STEPS, columns))


def slow(rng: np.random.Generator, steps: int, columns: int, tau: float) -> np.ndarray:
    """Return stationary autoregressive series of (time, column) with variance 1 that remember for about tau steps."""
    keep = np.exp(-1 / tau)
    noise = rng.normal(size=(steps + int(5 * tau) + 1, columns))
    return lfilter([np.sqrt(1 - keep**2)], [1, -keep], noise, axis=0)[-steps:]


def untrained(
    rng: np.random.Generator, x: np.ndarray, init: str = "torch", lengths: np.ndarray | None = None
) -> Recording:
    """Record an untrained network.

    Args:
        rng: of its weights.
        x: inputs.
        init: "torch"; "forget +1" or "forget +3", the same with higher biases; "keras", as its layers begin.
        lengths: of the sequences.
    """
    torch.manual_seed(int(rng.integers(2**31)))
    lstm = nn.LSTM(x.shape[-1], UNITS, batch_first=True)
    raised = {"torch": 0.0, "keras": 1.0, "forget +1": 1.0, "forget +3": 3.0}[init]
    with torch.no_grad():
        if init == "keras":
            nn.init.xavier_uniform_(lstm.weight_ih_l0)
            for gate in lstm.weight_hh_l0.split(UNITS):
                nn.init.orthogonal_(gate)
            nn.init.zeros_(lstm.bias_ih_l0)
            nn.init.zeros_(lstm.bias_hh_l0)
        lstm.bias_ih_l0[UNITS : 2 * UNITS] += raised
    inputs = torch.from_numpy(x).float()
    return lp.record(lstm, inputs, lengths=None if lengths is None else torch.from_numpy(lengths))


def independent(rng: np.random.Generator) -> Dataset:
    """White inputs, and signals that have nothing to do with them."""
    other = white(rng)
    return Dataset(untrained(rng, white(rng)), {"y": other[..., 0], "b": (other[..., 1] > 0).astype(int)})


def windows(
    rng: np.random.Generator, stride: int, tau: float, n: int = SEQUENCES, steps: int = STEPS, **options: Any
) -> Dataset:
    """One slow series, and another, cut into windows that begin every `stride` steps."""
    places = np.arange(n)[:, None] * stride + np.arange(steps)
    series = slow(rng, places[-1, -1] + 1, 3, tau)[places]
    remedy = {} if options else {"null": "shift"}
    return Dataset(untrained(rng, series[..., :2]), {"y": series[..., 2]}, options, remedy)


def nested(rng: np.random.Generator, label: bool) -> Dataset:
    """Twelve sequences of each of six subjects, who differ in inputs and signal."""
    subject = np.repeat(np.arange(6), 12)
    x = 0.5 * white(rng, n=72) + rng.normal(size=(6, 1, 2))[subject]
    y = 0.5 * white(rng, 1, n=72)[..., 0] + rng.normal(size=(6, 1))[subject]
    group = np.repeat(rng.permutation([0, 0, 0, 1, 1, 1])[subject, None], STEPS, axis=1)
    return Dataset(untrained(rng, x), {"group": group} if label else {"y": y}, remedy={"groups": subject})


def drift(rng: np.random.Generator) -> Dataset:
    """Inputs and signal drift from the first sequence to the last."""
    along = np.linspace(-1, 1, SEQUENCES)[:, None]
    x = 0.7 * white(rng) + along[..., None] * rng.choice([-1, 1])
    return Dataset(untrained(rng, x), {"y": 0.7 * white(rng)[..., 0] + along}, remedy={"null": "shift"})


def never_trained(rng: np.random.Generator, init: str, names: tuple[str, ...]) -> Dataset:
    """Signals of past inputs that a network which learned nothing shows."""
    x = white(rng)
    return Dataset(
        untrained(rng, x, init), {name: PAST[name](x[..., k % 2]) for k, name in enumerate(names)}, related=True
    )


def previous_symbol(rng: np.random.Generator) -> Dataset:
    """Which of four symbols came before, to an untrained network."""
    symbol = rng.integers(0, 4, (SEQUENCES, STEPS))
    before = np.concatenate([0 * symbol[:, :1], symbol[:, :-1]], axis=1)
    return Dataset(
        untrained(rng, np.eye(4)[symbol]), {"previous": before, "was 0": (before == 0).astype(int)}, related=True
    )


def remaining(rng: np.random.Generator) -> Dataset:
    """How many steps are left, in sequences of unequal lengths."""
    lengths = rng.integers(STEPS // 2, STEPS + 1, 96)
    left = lengths[:, None] - np.arange(STEPS) + 0.1 * white(rng, 1, n=96)[..., 0]
    return Dataset(untrained(rng, white(rng, n=96), lengths=lengths), {"left": left})


def rare(rng: np.random.Generator) -> Dataset:
    """A yes/no signal that is yes at half a percent of steps."""
    return Dataset(untrained(rng, white(rng, n=128)), {"b": (rng.random((128, STEPS)) < 0.005).astype(int)})


def cauchy(rng: np.random.Generator) -> Dataset:
    """Inputs and signal with tails so heavy that neither has a variance."""
    x = rng.standard_cauchy(size=(SEQUENCES, STEPS, 2)).clip(-1e3, 1e3)
    return Dataset(untrained(rng, x), {"y": rng.standard_cauchy(size=(SEQUENCES, STEPS))})


def rare_class(rng: np.random.Generator) -> Dataset:
    """Four classes, one of them at one percent of steps."""
    return Dataset(untrained(rng, white(rng)), {"k": rng.choice(4, p=[0.5, 0.3, 0.19, 0.01], size=(SEQUENCES, STEPS))})


def few_slow(rng: np.random.Generator, n: int) -> Dataset:
    """Few independent sequences, each nearly as slow as it is long."""
    series = slow(rng, STEPS, 3 * n, 20).T.reshape(n, 3, STEPS)
    return Dataset(untrained(rng, series[:, :2].transpose(0, 2, 1)), {"y": series[:, 2]})


def spiking(rng: np.random.Generator) -> Dataset:
    """Units that are 0 but for four steps, beside heavy-tailed and rare signals."""
    c = np.zeros((UNITS, SEQUENCES * STEPS))
    for unit in c:
        unit[rng.choice(len(unit), 4, replace=False)] = 5 * rng.normal(size=4)
    inputs = torch.zeros(SEQUENCES, STEPS, 1)
    values = torch.from_numpy(c.reshape(UNITS, SEQUENCES, STEPS).transpose(1, 2, 0)).float()
    part = LayerRecording(0, "forward", inputs, c=values)
    rec = Recording({(0, "forward"): part}, torch.full((SEQUENCES,), STEPS), LSTMConfig(1, UNITS))
    signals = {
        "y": rng.standard_t(2, size=(SEQUENCES, STEPS)), "b": (rng.random((SEQUENCES, STEPS)) < 0.01).astype(int),
    }  # fmt: skip
    return Dataset(rec, signals, {"variables": ["c"]})


def label_per_sequence(rng: np.random.Generator) -> Dataset:
    """One label for each of independent slow sequences."""
    x = slow(rng, STEPS, 2 * SEQUENCES, 50).T.reshape(SEQUENCES, 2, STEPS).transpose(0, 2, 1)
    return Dataset(untrained(rng, x), {"label": np.repeat(rng.integers(0, 2, SEQUENCES)[:, None], STEPS, axis=1)})


def trend(rng: np.random.Generator, **options: Any) -> Dataset:
    """Inputs and signal rise with the step."""
    x = white(rng) + np.linspace(-2, 2, STEPS)[:, None]
    return Dataset(untrained(rng, x), {"y": white(rng)[..., 0] + np.linspace(-3, 3, STEPS)}, options)


def present(rng: np.random.Generator) -> Dataset:
    """A product of the present inputs, and the size of one."""
    x = white(rng)
    return Dataset(untrained(rng, x), {"product": x[..., 0] * x[..., 1], "size": np.abs(x[..., 0])}, related=True)


def planted(rng: np.random.Generator, kind: str, rate: float) -> Dataset:
    """One unit that holds a signal, whose events have this probability, among four that were wired at random.

    Of a counter at 90 % there are only ups: the step tells nearly all of it.
    """
    network = lp.planted.combine([PLANTED[kind](rate=rate)], random_units=4, seed=int(rng.integers(2**31)))
    n, steps = (256, 100) if rate < 0.01 else (128, 50)
    inputs = network.sample(n, length=steps, seed=int(rng.integers(2**31))).inputs.clone()
    if kind == "counter" and rate > 0.5:
        inputs[..., 1] = 0
    batch = network.batch(inputs)
    ((name, unit),) = network.where.items()
    rec = lp.record(network.model, batch.inputs)
    return Dataset(rec, {name: batch.signals[name]}, truth=(name, unit))


#: What makes a dataset of each setting, by name.
SETTINGS: Mapping[str, Callable[[np.random.Generator], Dataset]] = {
    "independent": independent,
    "windows, stride 5, tau 100": partial(windows, stride=5, tau=100),
    "windows, stride 30, tau 100": partial(windows, stride=30, tau=100),
    "windows, stride 30, tau 500": partial(windows, stride=30, tau=500),
    "windows, stride 30, tau 500, rolled": partial(windows, stride=30, tau=500, null="roll"),
    "6 long windows, tau 100, rolled": partial(windows, stride=320, tau=100, n=6, steps=320, null="roll", folds=3),
    "6 subjects, number": partial(nested, label=False),
    "6 subjects, label": partial(nested, label=True),
    "drift over sequences": drift,
    "untrained torch, mean of 5": partial(never_trained, init="torch", names=("mean of 5",)),
    "untrained torch, mean of 10": partial(never_trained, init="torch", names=("mean of 10",)),
    "untrained forget +1, mean of 10": partial(never_trained, init="forget +1", names=("mean of 10",)),
    "untrained forget +3, running sum": partial(never_trained, init="forget +3", names=("running sum",)),
    "untrained keras, leaky sum": partial(never_trained, init="keras", names=("leaky sum",)),
    "untrained keras, four signals": partial(never_trained, init="keras", names=FOUR),
    "untrained torch, four signals": partial(never_trained, init="torch", names=FOUR),
    "untrained torch, previous symbol": previous_symbol,
    "remaining steps": remaining,
    "rare yes": rare,
    "cauchy": cauchy,
    "rare class": rare_class,
    "8 slow sequences": partial(few_slow, n=8),
    "16 slow sequences": partial(few_slow, n=16),
    "spiking units": spiking,
    "label per sequence": label_per_sequence,
    "trend over steps": trend,
    "trend over steps, rolled": partial(trend, null="roll"),
    "present inputs": present,
    # A latch with events at 90 % is told by the present input (0.9999), and no memory.
    **{
        f"planted {kind}, rate {rate:g}": partial(planted, kind=kind, rate=rate)
        for kind in PLANTED
        for rate in RATES
        if (kind, rate) != ("latch", 0.9)
    },
}
