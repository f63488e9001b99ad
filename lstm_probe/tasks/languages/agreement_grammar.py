"""The grammar of `agreement`: its words, and what may come where, as one table of states."""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

NOUNS = ("key", "boy", "dog", "car", "friend", "farmer", "teacher", "pilot")
MAIN_VERBS = ("sleep", "fall", "sing", "wait", "laugh", "run", "disappear", "burn")
OTHER_VERBS = ("see", "follow", "help", "know", "hear", "like", "admire", "avoid")
PREPOSITIONS = ("near", "behind", "above", "beside", "under", "before", "with", "without")

#: Kinds of words; the last is the sentence's end, which is never read.
THE, THAT, PREPOSITION, NOUN, MAIN_VERB, OTHER_VERB, END = range(7)
VERBS = (MAIN_VERB, OTHER_VERB)

#: Where a sentence stands: what was read last, as far as it matters for what may come.
START, ARTICLE, SUBJECT, IN_PHRASE, PHRASE_ARTICLE, CLAUSE, OWN_VERB, OBJECT_ARTICLE, DUE, DONE = range(10)

#: From a place, by a kind of word, to the next place; the main verb, which is not here, ends the sentence.
ARCS = {
    (START, THE): ARTICLE, (ARTICLE, NOUN): SUBJECT, (SUBJECT, PREPOSITION): IN_PHRASE,
    (IN_PHRASE, THE): PHRASE_ARTICLE, (PHRASE_ARTICLE, NOUN): SUBJECT, (SUBJECT, THAT): CLAUSE,
    (CLAUSE, THE): ARTICLE, (CLAUSE, OTHER_VERB): OWN_VERB, (OWN_VERB, THE): OBJECT_ARTICLE,
    (OBJECT_ARTICLE, NOUN): DUE, (SUBJECT, OTHER_VERB): DUE, (DUE, OTHER_VERB): DUE,
}  # fmt: skip

#: Numbers; 0 is none.
SINGULAR, PLURAL = 1, 2

#: Place, prepositional phrases behind the last subject, and the numbers of the subjects whose verbs have not come.
State = tuple[int, int, tuple[int, ...]]
START_STATE: State = (START, 0, ())


@dataclass(frozen=True, eq=False)
class Grammar:
    """Which sentences there are, and how likely each is.

    Each kind of word that may come is equally likely, then each word of that kind that may.

    Args:
        attractors: prepositional phrases after a subject, at most.
        min_attractors: the same, at least.
        nesting: clauses with a subject of their own inside each other, at most.
        min_nesting: the same, at least.
        words: nouns, main verbs, other verbs, and prepositions.
    """

    attractors: int
    min_attractors: int
    nesting: int
    min_nesting: int
    words: int

    @cached_property
    def vocabulary(self) -> list[tuple[str, int, int]]:
        """Each word with its kind and its number."""
        k, both = self.words, (SINGULAR, PLURAL)
        return [
            ("the", THE, 0),
            ("that", THAT, 0),
            *((word, PREPOSITION, 0) for word in PREPOSITIONS[:k]),
            *((noun + "s" * (number == PLURAL), NOUN, number) for noun in NOUNS[:k] for number in both),
            *(
                (verb + "s" * (number == SINGULAR), kind, number)
                for kind, verbs in ((MAIN_VERB, MAIN_VERBS), (OTHER_VERB, OTHER_VERBS))
                for verb in verbs[:k]
                for number in both
            ),
        ]

    def coming(self, state: State) -> list[int]:
        """Return the kinds of words that may come."""
        place, used, subjects = state
        level = len(subjects) - 1  # clauses with a subject of their own around what comes
        verb = OTHER_VERB if level > 0 else MAIN_VERB
        if place == SUBJECT:
            enough = used >= self.min_attractors
            able = (
                (used < self.attractors, PREPOSITION),
                (enough and level < self.nesting, THAT),
                (enough and level >= self.min_nesting, verb),
            )
            return [kind for may, kind in able if may]
        if place == CLAUSE and level >= self.min_nesting:
            return [THE, OTHER_VERB]
        if place in (DUE, DONE):
            return [verb if place == DUE else END]
        return [NOUN if place in (ARTICLE, PHRASE_ARTICLE, OBJECT_ARTICLE) else THE]

    def after(self, state: State, kind: int, number: int) -> State:
        """Return the state after a word that may come."""
        place, used, subjects = state
        to = ARCS.get((place, kind), DONE)
        if place == ARTICLE:
            subjects = (*subjects, number)
        elif kind in VERBS and to != OWN_VERB:
            # The verb of a clause without a subject of its own leaves the noun before it waiting for its verb.
            subjects = subjects[:-1]
        behind = to in (SUBJECT, IN_PHRASE, PHRASE_ARTICLE)
        return to, (used + (kind == PREPOSITION)) * behind, subjects

    @cached_property
    def table(self) -> tuple[list[State], Int[Tensor, "state word"], Float[Tensor, "state word"]]:
        """All states, the start first; the state that each word leads to, −1 if it may not come; its chance."""
        numbers = {START_STATE: 0}
        following, chances = [], []
        for state in (waiting := [START_STATE]):
            kinds, due = self.coming(state), state[2][-1:]
            may = [kind in kinds and (kind not in VERBS or (number,) == due) for _, kind, number in self.vocabulary]
            alike = Counter(kind for on, (_, kind, _) in zip(may, self.vocabulary) if on)
            row = []
            for on, (_, kind, number) in zip(may, self.vocabulary):
                after = self.after(state, kind, number) if on else None
                if after is not None and after not in numbers:
                    numbers[after] = len(numbers)
                    waiting.append(after)
                row.append(-1 if after is None else numbers[after])
            following.append(row)
            shares = {kind: 1 / len(kinds) / n for kind, n in alike.items()}
            chances.append([on * shares.get(kind, 0.0) for on, (_, kind, _) in zip(may, self.vocabulary)])
        return waiting, torch.tensor(following), torch.tensor(chances, dtype=torch.float64)

    @cached_property
    def entropy(self) -> float:
        """The cross-entropy, in nats per step, of the best predictor of the next word or the end.

        Exact: the words that were read determine the state.
        """
        states, following, chances = self.table
        surprise = -torch.special.xlogy(chances, chances).sum(1)
        at = torch.zeros(len(states), dtype=torch.float64)
        at[0], nats, steps = 1.0, 0.0, 0.0
        while at.sum() > 0:
            flow = (at.unsqueeze(1) * chances).flatten()
            at = torch.zeros_like(at).index_add(0, following.clamp(min=0).flatten(), flow)
            nats, steps = nats + float(at @ surprise), steps + float(at.sum())
        return nats / steps

    def draw(self, n: int, rng: torch.Generator) -> Int[Tensor, "sequence time"]:
        """Return `n` sentences; −1 after their ends."""
        _, following, chances = self.table
        words = following.shape[1]
        # Each state's bounds lie between its own number and the next, so that one sorted search finds all words.
        sums = chances.cumsum(1)
        bounds = torch.where(sums > 1 - 1e-9, 1.0, sums) + torch.arange(len(sums)).unsqueeze(1)
        bounds, ends = bounds.flatten(), following.amax(1) < 0
        state, sentences = torch.zeros(n, dtype=torch.long), []
        over = torch.zeros(n, dtype=torch.bool)
        while not bool(over.all()):
            luck = torch.rand(n, generator=rng, dtype=torch.float64)
            arc = torch.searchsorted(bounds, state + luck, right=True)
            sentences.append(torch.where(over, -1, arc - state * words))
            # `take` is several times as fast as indexing. At an end there is no arc, and none is needed.
            state = torch.where(over, state, following.take(arc.clamp(max=following.numel() - 1)))
            over = ends.take(state)
        return torch.stack(sentences, dim=1)

    def states(self, symbols: Int[Tensor, "sequence time"]) -> Int[Tensor, "sequence time"]:
        """Return the number of the state after each word; after a sentence's end it stays as it is."""
        _, following, _ = self.table
        state, states = torch.zeros(len(symbols), dtype=torch.long), torch.empty_like(symbols)
        for t in range(symbols.shape[1]):
            word = symbols[:, t]
            after = following.take(state * following.shape[1] + word.clamp(min=0))
            state = torch.where(word >= 0, after, state)
            states[:, t] = state
        return states
