"""Shuffle-Dyck: several kinds of brackets, each balanced on its own."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lstm_probe.core.kinds import Signal
from lstm_probe.core.signal import Batch
from lstm_probe.core.target import Target
from lstm_probe.tasks.base import Smallest, Task
from lstm_probe.tasks.languages.dyck1 import chance_to_open
from lstm_probe.tasks.parameters import check_parameters, even_lengths, parameter
from lstm_probe.tasks.steps import bracket_lines, by_name, step_signal


@dataclass(frozen=True)
class Shuffle(Task):
    """Read k interleaved balanced strings, each in brackets of its own, and say which symbols may come next.

    An even length is drawn uniformly, then one of the strings of that length, each with the same probability.
    An opening bracket may always come, a closing one while one of its kind is open (Suzgun, Belinkov, Shieber
    & Gehrmann 2019): k counters, no stack, because kinds may cross.

    >>> batch = Shuffle().batch(torch.tensor([[1, 2, -1, -2]]), torch.tensor([4]))  # ( [ ) ]
    >>> batch.signals["depth0"].values.int().tolist(), batch.signals["depth1"].values.int().tolist()
    ([[1, 1, 0, 0]], [[0, 1, 1, 0]])
    >>> batch.targets["legal"][0, 2].tolist()  # after ( [ ) each may open, and ] may close
    [1.0, 1.0, 0.0, 1.0]
    """

    name = "shuffle"
    summary = "several kinds of balanced brackets that may cross: a counter for each"
    source = "Suzgun, Belinkov, Shieber & Gehrmann 2019"
    smallest = Smallest(2, 2.4, 2, 2)

    kinds: int = parameter(2, "kinds of brackets", 1, 16)
    min_length: int = parameter(2, "shortest string, in symbols", 2, 10_000)
    max_length: int = parameter(50, "longest string, in symbols", 2, 10_000)

    def __post_init__(self) -> None:
        check_parameters(self)
        even_lengths(self)

    @property
    def _lengths(self) -> list[int]:
        return even_lengths(self)

    @property
    def input_names(self) -> tuple[str, ...]:
        return (*(f"open{k}" for k in range(self.kinds)), *(f"close{k}" for k in range(self.kinds)))

    @property
    def targets(self) -> tuple[Target, ...]:
        return (Target("legal", "multilabel", size=2 * self.kinds),)

    @cached_property
    def _ways(self) -> Float[Tensor, "kinds pairs"]:
        """The log of how many strings of each number of pairs there are in 1, 2, ... kinds, over (2 pairs)!.

        In one kind that is the Catalan number over (2m)! = 1 / (m! (m + 1)!); in more, because interleaving
        strings of 2a and 2b symbols has (2a + 2b)! / ((2a)! (2b)!) ways, the convolution.
        """
        pairs = torch.arange(max(self._lengths) // 2 + 1, dtype=torch.float64)
        one = -torch.lgamma(pairs + 1) - torch.lgamma(pairs + 2)
        ways = [one]
        for _ in range(self.kinds - 1):
            total = [torch.logsumexp(one[: m + 1] + ways[-1][: m + 1].flip(0), 0) for m in range(len(one))]
            ways.append(torch.stack(total))
        return torch.stack(ways)

    def _pairs(self, pairs: Tensor, rng: torch.Generator) -> Int[Tensor, "kind sequence"]:
        """Return how many of each string's pairs are of each kind, as likely as there are such strings."""
        left, of_kind = pairs, []
        every = torch.arange(self._ways.shape[1])
        for k in range(self.kinds - 1, 0, -1):
            there, row = left.unique(return_inverse=True)
            rest = there.unsqueeze(1) - every
            logs = self._ways[0] + self._ways[k - 1][rest.clamp(min=0)]
            bounds = torch.where(rest >= 0, logs - self._ways[k][there].unsqueeze(1), -torch.inf).exp().cumsum(1)
            luck = torch.rand(len(left), 1, generator=rng, dtype=torch.float64)
            own = (luck * bounds[row, -1:] >= bounds[row]).sum(1)
            of_kind.append(own)
            left = left - own
        return torch.stack([*of_kind, left])

    def draw(self, n: int, rng: torch.Generator) -> Batch:
        return self.batch(*self._strings(n, rng))

    def draw_training(self, n: int, rng: torch.Generator) -> Batch:
        """Return the same strings as `draw` without signals."""
        return self._batch(*self._strings(n, rng))

    def _strings(self, n: int, rng: torch.Generator) -> tuple[Int[Tensor, "sequence time"], Int[Tensor, " sequence"]]:
        """Return strings as `batch` takes them, and their lengths."""
        even = torch.tensor(self._lengths)
        lengths = even[torch.randint(len(even), (n,), generator=rng)]
        remaining = 2.0 * self._pairs(lengths // 2, rng)
        time = int(lengths.max())
        which, luck = torch.rand(2, time, n, generator=rng)
        depth = torch.zeros(self.kinds, n)
        symbols = torch.zeros(time, n)
        for t in range(time):
            # Every order of the kinds is equally likely, and every balanced string within a kind.
            bounds = remaining.cumsum(0)
            kind = (which[t] * bounds[-1] >= bounds[:-1]).sum(0, keepdim=True)
            own, left = depth.gather(0, kind), remaining.gather(0, kind)
            going = left.clamp(max=1)
            sign = torch.where(luck[t] < chance_to_open(own, left), going, -going)
            torch.mul(sign[0], kind[0] + 1, out=symbols[t])
            depth.scatter_(0, kind, own + sign)
            remaining.scatter_(0, kind, left - going)
        return symbols.T.contiguous().long(), lengths

    def relabel(
        self, inputs: Float[Tensor, "sequence time feature"], lengths: Int[Tensor, " sequence"]
    ) -> Mapping[str, Tensor]:
        depth = self._depth(inputs)
        legal = torch.cat([torch.ones_like(depth), depth > 0], dim=2)
        return {"legal": legal.masked_fill((depth.cummin(1).values < 0).any(-1, keepdim=True), float("nan"))}

    def batch(self, symbols: Int[Tensor, "sequence time"], lengths: Int[Tensor, " sequence"]) -> Batch:
        """Return the batch of these strings: k for kind k's opening bracket, −k for its closing, 0 after the end."""
        batch = self._batch(symbols, lengths)
        return replace(batch, signals=self.signals(symbols, self._depth(batch.inputs)))

    def _batch(self, symbols: Int[Tensor, "sequence time"], lengths: Int[Tensor, " sequence"]) -> Batch:
        inputs = bracket_lines(symbols, self.kinds)
        depth = self._depth(inputs)
        legal = torch.cat([torch.ones_like(depth), depth > 0], dim=2)
        return Batch(inputs, {"legal": legal}, self.targets, lengths, {})

    def _depth(self, inputs: Float[Tensor, "sequence time line"]) -> Float[Tensor, "sequence time kind"]:
        return (inputs[..., : self.kinds] - inputs[..., self.kinds :]).cumsum(1)

    def signals(
        self, symbols: Int[Tensor, "sequence time"], depth: Float[Tensor, "sequence time kind"]
    ) -> dict[str, Signal]:
        """Return the ground truth of these strings, with these numbers of open brackets of each kind."""
        closable = (depth > 0).float()
        signals = [
            *(
                Signal(f"depth{k}", depth[..., k], "continuous", "latent", f"open brackets of kind {k}")
                for k in range(self.kinds)
            ),
            *(
                Signal(f"closable{k}", closable[..., k], "binary", "target", f"1 while one of kind {k} is open")
                for k in range(self.kinds)
            ),
        ]
        if self.kinds > 1:
            total = depth.sum(-1)
            signals.append(Signal("depth", total, "continuous", "distractor", "open brackets of all kinds together"))
        opened = (symbols > 0).cumsum(1).float()
        signals.append(Signal("opened", opened, "continuous", "distractor", "opening brackets so far"))
        signals.append(step_signal(symbols.shape[0], symbols.shape[1], of="string"))
        return by_name(signals)
