"""Dyck-1: balanced strings of one kind of bracket."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int, Real
from torch import Tensor

from lstm_probe.core.kinds import Role, Signal
from lstm_probe.core.signal import Batch
from lstm_probe.core.target import Target
from lstm_probe.tasks.base import Smallest, Task
from lstm_probe.tasks.parameters import check_parameters, even_lengths, parameter

PREDICT = ("legal", "next")


def chance_to_open(depth: Real[Tensor, "*n"], remaining: Real[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Return the share of balanced completions that continue with an opening bracket.

    By the ballot numbers: of all ways to close `depth` brackets within exactly `remaining` symbols, the share
    (d + 2)(r - d) / (2 r (d + 1)) opens another one first.
    """
    return (depth + 2) * (remaining - depth) / (2 * remaining * (depth + 1)).clamp(min=1)


@dataclass(frozen=True)
class Dyck1(Task):
    """Read a balanced string of brackets and say, after each symbol, which symbols may come next.

    An even length is drawn uniformly, then one of the balanced strings of that length, each with the same
    probability. `predict=legal` asks for the set of legal next symbols (Suzgun, Belinkov, Shieber & Gehrmann 2019):
    an opening bracket always is, a closing one is unless everything is closed. `predict=next` asks for the next
    symbol itself or the end, as a language model does; its score is measured against the best possible predictor.

    >>> string = torch.tensor([[1, 1, -1, 1, -1, -1, 1, -1]])
    >>> Dyck1.depth(string)[0].tolist()
    [1, 2, 1, 2, 1, 0, 1, 0]
    """

    name = "dyck1"
    summary = "balanced brackets: how many are open?"
    source = "Suzgun, Belinkov, Shieber & Gehrmann 2019"
    smallest = Smallest(1, 1.2, 1, 1)

    min_length: int = parameter(2, "shortest string, in symbols", 2, 100_000)
    max_length: int = parameter(50, "longest string, in symbols", 2, 100_000)
    predict: str = parameter("legal", "what to output: the legal next symbols, or the next symbol", choices=PREDICT)

    def __post_init__(self) -> None:
        check_parameters(self)
        even_lengths(self)

    @property
    def _lengths(self) -> list[int]:
        return even_lengths(self)

    @property
    def input_names(self) -> tuple[str, ...]:
        return ("(", ")")

    @property
    def targets(self) -> tuple[Target, ...]:
        if self.predict == "legal":
            return (Target("legal", "multilabel", size=2),)
        return (Target("next", "next_symbol", size=3, floor=self.entropy),)

    @cached_property
    def entropy(self) -> float:
        """The cross-entropy, in nats per step, of the best predictor of the next symbol or the end.

        Exact: after a prefix of t symbols at depth d, the posterior over the string's length is known in closed
        form, hence the chances of "(", ")" and the end. They are averaged over all prefixes and lengths.
        """
        lengths, top = self._lengths, max(self._lengths)
        # completions[r][d]: log of the number of ways to get from depth d to 0 in r symbols, never below 0.
        completions = torch.full((top + 1, top + 2), -torch.inf, dtype=torch.float64)
        completions[0, 0] = 0.0
        for r in range(1, top + 1):
            down = torch.cat([torch.tensor([-torch.inf], dtype=torch.float64), completions[r - 1, :-1]])
            up = torch.cat([completions[r - 1, 1:], torch.tensor([-torch.inf], dtype=torch.float64)])
            completions[r] = torch.logaddexp(down, up)
        nats = 0.0
        for t in range(1, top + 1):
            # By symmetry, as many prefixes lead up to depth d as completions lead down from it.
            prefixes = completions[t]
            weights = {n: completions[n - t] - completions[n, 0] for n in lengths if n >= t}
            total = torch.logsumexp(torch.stack(list(weights.values())), 0)
            nothing = torch.full_like(total, -torch.inf)
            end = weights.get(t, nothing)
            going_on = [completions[n - t - 1] - completions[n, 0] for n in weights if n > t]
            later = torch.logsumexp(torch.stack(going_on), 0) if going_on else nothing
            opened, closed = torch.cat([later[1:], nothing[:1]]), torch.cat([nothing[:1], later[:-1]])
            for symbol in (opened, closed, end):
                mass = (prefixes + symbol).exp()
                nats -= float(torch.where(mass > 0, mass * (symbol - total), 0.0).sum())
        return nats / len(lengths) / (sum(lengths) / len(lengths))

    @staticmethod
    def depth(brackets: Int[Tensor, "sequence time"]) -> Int[Tensor, "sequence time"]:
        """Return how many brackets are open after each symbol, from +1 for "(" and -1 for ")"."""
        return brackets.cumsum(1)

    def draw(self, n: int, rng: torch.Generator) -> Batch:
        even = torch.tensor(self._lengths)
        lengths = even[torch.randint(len(even), (n,), generator=rng)]
        time = int(lengths.max())
        chances = torch.rand(n, time, generator=rng)
        brackets = torch.zeros(n, time, dtype=torch.long)
        depth = torch.zeros(n, dtype=torch.long)
        for t in range(time):
            opens = chances[:, t] < chance_to_open(depth, lengths - t)
            brackets[:, t] = torch.where(t < lengths, opens.long() * 2 - 1, 0)
            depth += brackets[:, t]
        return self.batch(brackets, lengths)

    def relabel(
        self, inputs: Float[Tensor, "sequence time feature"], lengths: Int[Tensor, " sequence"]
    ) -> Mapping[str, Tensor] | None:
        if self.predict != "legal":
            return None
        depth = (inputs[..., 0] - inputs[..., 1]).cumsum(1)
        legal = torch.stack([torch.ones_like(depth), (depth > 0).float()], dim=-1)
        return {"legal": legal.masked_fill((depth.cummin(1).values < 0).unsqueeze(-1), float("nan"))}

    def batch(self, brackets: Int[Tensor, "sequence time"], lengths: Int[Tensor, " sequence"]) -> Batch:
        """Return the batch of these strings: +1 for "(", -1 for ")", 0 after the end."""
        n, time = brackets.shape
        depth = self.depth(brackets)
        step = torch.arange(time).expand(n, -1)
        closable = depth > 0
        opens = (brackets > 0).long()
        role: Role = "target" if self.predict == "legal" else "latent"
        signals = {
            "depth": Signal("depth", depth.float(), "continuous", "latent", "how many brackets are open"),
            "closable": Signal("closable", closable.float(), "binary", role, 'whether ")" may come next'),
            "opened": Signal("opened", opens.cumsum(1).float(), "continuous", "distractor", 'how many "(" so far'),
            "step": Signal("step", step.float(), "continuous", "nuisance", "position in the string"),
        }  # fmt: skip
        if self.predict == "legal":
            targets = {"legal": torch.stack([torch.ones(n, time), closable.float()], dim=-1)}
        else:
            following = torch.cat([1 - opens[:, 1:], opens.new_zeros(n, 1)], dim=1)
            last = step == (lengths - 1).unsqueeze(1)
            targets = {"next": torch.where(last, 2, following)}
        inputs = torch.stack([brackets > 0, brackets < 0], dim=-1).float()
        return Batch(inputs, targets, self.targets, lengths, signals)
