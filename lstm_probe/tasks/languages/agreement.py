"""Subject-verb agreement: every verb takes the number of its own subject, whatever nouns stand between."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from lstm_probe.core.kinds import Role, Signal
from lstm_probe.core.signal import Batch
from lstm_probe.core.target import Target
from lstm_probe.tasks.base import Smallest, Task
from lstm_probe.tasks.languages.agreement_grammar import ARTICLE, DONE, DUE, NOUN, NOUNS, START, VERBS, Grammar
from lstm_probe.tasks.parameters import check_parameters, parameter
from lstm_probe.tasks.steps import by_name, last_seen, one_hot, step_signal, steps_since

PREDICT = ("number", "next", "legal")


@dataclass(frozen=True)
class Agreement(Task):
    """Read a sentence and say, before each verb, whether it must be singular or plural.

    A subject is "the" and a noun. After it come prepositional phrases ("near the cars"), whose nouns attract
    but do not matter, and then at most one relative clause: "that" with a subject and a verb of its own, the
    subject perhaps with the same after it ("the boy that the dogs see sleeps"), or "that" with a verb of the
    noun before the phrases, and an object ("the boy that sees the dogs sleeps"). At each step every kind of word
    that may come is equally likely, and then every word of that kind.

    predict=number asks for the number of the coming verb, at the words before verbs alone (Linzen, Dupoux &
    Goldberg 2016); predict=next for the next word, as a language model does; predict=legal for all words that
    may come, the end among them.

    >>> task = Agreement(words=1)
    >>> sentence = "the keys near the key that the key sees sleep"
    >>> symbols = torch.tensor([[task.input_names.index(word) for word in sentence.split()]])
    >>> batch = task.batch(symbols, torch.tensor([10]))
    >>> for name in ("subject0", "subject1", "due", "attractor", "depth"):  # 1 singular, 2 plural
    ...     print(f"{name:10}", *batch.signals[name].values[0].int().tolist())
    subject0   0 2 2 2 2 2 2 2 2 0
    subject1   0 0 0 0 0 0 0 1 0 0
    due        0 2 2 2 2 2 2 1 2 0
    attractor  0 0 0 0 1 1 1 1 1 1
    depth      0 1 1 1 1 1 1 2 1 0
    >>> batch.targets["number"][batch.scored["number"]].tolist()  # 0 sees, 1 sleep
    [0, 1]
    """

    name = "agreement"
    summary = "the subject's number, held until its verb across other nouns and clauses"
    source = "Linzen, Dupoux & Goldberg 2016; Lakretz and others 2019"
    smallest = Smallest(2, 2.5, 2, 2)

    attractors: int = parameter(2, "prepositional phrases after a subject, at most", 0, 10)
    min_attractors: int = parameter(0, "the same, at least", 0, 10)
    nesting: int = parameter(1, "relative clauses with own subjects inside each other, at most", 0, 4)
    min_nesting: int = parameter(0, "the same, at least", 0, 4)
    words: int = parameter(4, "nouns, main verbs, verbs of clauses, and prepositions", 1, len(NOUNS))
    predict: str = parameter("number", "what to output: the verb's number, the next word, or all words that may come",
                             choices=PREDICT)  # fmt: skip

    def __post_init__(self) -> None:
        check_parameters(self)

    @cached_property
    def grammar(self) -> Grammar:
        """Which sentences there are."""
        return Grammar(self.attractors, self.min_attractors, self.nesting, self.min_nesting, self.words)

    @property
    def input_names(self) -> tuple[str, ...]:
        return tuple(word for word, _, _ in self.grammar.vocabulary)

    @property
    def targets(self) -> tuple[Target, ...]:
        if self.predict == "number":
            return (Target("number", "class", size=2),)
        if self.predict == "next":
            return (Target("next", "next_symbol", size=self.n_inputs + 1, floor=self.grammar.entropy),)
        return (Target("legal", "multilabel", size=self.n_inputs + 1),)

    def draw(self, n: int, rng: torch.Generator) -> Batch:
        symbols = self.grammar.draw(n, rng)
        return self.batch(symbols, (symbols >= 0).sum(1))

    def draw_training(self, n: int, rng: torch.Generator) -> Batch:
        """Return the same sentences as `draw` without signals, which take longer than all the rest."""
        symbols = self.grammar.draw(n, rng)
        return self._batch(symbols, (symbols >= 0).sum(1), self.grammar.states(symbols))

    def batch(self, symbols: Int[Tensor, "sequence time"], lengths: Int[Tensor, " sequence"]) -> Batch:
        """Return the batch of these sentences, words numbered as in `input_names`; −1 after their ends."""
        state = self.grammar.states(symbols)
        return replace(self._batch(symbols, lengths, state), signals=self.signals(symbols, state))

    def _batch(
        self,
        symbols: Int[Tensor, "sequence time"],
        lengths: Int[Tensor, " sequence"],
        state: Int[Tensor, "sequence time"],
    ) -> Batch:
        coming = torch.cat([symbols[:, 1:], torch.full((len(symbols), 1), -1)], dim=1)
        targets, scored = {}, {}
        if self.predict == "number":
            due = torch.tensor([numbers[-1] if numbers else 0 for _, _, numbers in self.grammar.table[0]])
            targets["number"] = (due.take(state) - 1).clamp(min=0)
            scored["number"] = self._is(VERBS, coming)
        elif self.predict == "next":
            targets["next"] = torch.where(coming >= 0, coming, self.n_inputs)
        else:
            states, following, _ = self.grammar.table
            ends = torch.tensor([[place == DONE] for place, _, _ in states])
            targets["legal"] = torch.cat([following >= 0, ends], dim=1).float()[state]
        return Batch(one_hot(symbols, self.n_inputs), targets, self.targets, lengths, {}, scored)

    def _is(self, kinds: Sequence[int], symbols: Int[Tensor, "sequence time"]) -> Bool[Tensor, "sequence time"]:
        """Return True at words of some kinds; −1 is no word."""
        table = torch.tensor([*(kind in kinds for _, kind, _ in self.grammar.vocabulary), False])
        return table.take(symbols % len(table))

    def signals(self, symbols: Int[Tensor, "sequence time"], state: Int[Tensor, "sequence time"]) -> dict[str, Signal]:
        """Return the ground truth of these sentences, whose words led to these states."""
        n, time = symbols.shape
        places, _, waiting = zip(*self.grammar.table[0])
        place, levels = torch.tensor(places)[state], range(self.nesting + 1)
        subjects = torch.tensor([[*w, *[0] * (self.nesting + 1 - len(w))] for w in waiting])[state]
        depth = (subjects > 0).sum(2)
        innermost = (depth - 1).clamp(min=0).unsqueeze(2)
        due = subjects.gather(2, innermost).squeeze(2)

        number = torch.tensor([number for _, _, number in self.grammar.vocabulary])[symbols.clamp(min=0)]
        noun, verb = self._is((NOUN,), symbols), self._is(VERBS, symbols)
        before = torch.cat([torch.full((n, 1), START), place[:, :-1]], dim=1)
        subject, last_noun = noun & (before == ARTICLE), last_seen(number, noun)
        since = torch.stack([steps_since(subject & (depth == level + 1)) for level in levels], dim=2)
        since = torch.where(due > 0, since.gather(2, innermost).squeeze(2), 0)
        role: Role = "target" if self.predict == "number" else "latent"
        own = "number of the subject whose verb is due: 0 none, 1 singular, 2 plural"
        made = [
            Signal("due", due, "categorical", role, own),
            Signal("subject0", subjects[..., 0], "categorical", "latent", "the main subject's alone"),
            *(Signal(f"subject{k}", subjects[..., k], "categorical", "latent",
                     f"that of the subject {k} clause{'s' * (k > 1)} further inside")
              for k in levels[1:]),
            Signal("depth", depth.float(), "continuous", "latent", "how many subjects wait for their verbs"),
            Signal("verb_due", (place == DUE).float(), "binary", "latent", "1 where only a verb can come"),
            Signal("attractor", last_seen(number, noun & ~subject), "categorical", "distractor",
                   "number of the last noun that is not a subject; 0 none yet"),
            Signal("last_noun", last_noun, "categorical", "distractor", "number of the last noun; 0 none yet"),
            Signal("conflict", ((due > 0) & (last_noun != due)).float(), "binary", "distractor",
                   "1 where the last noun's number is not the one that is due"),
            Signal("since_subject", since.float(), "continuous", "distractor",
                   "words since the subject whose verb is due; 0 where none is"),
            Signal("verb", verb.float(), "binary", "nuisance", "1 at a verb"),
            step_signal(n, time, of="sentence"),
        ]  # fmt: skip
        return by_name(made)
