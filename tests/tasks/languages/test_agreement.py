"""Agreement: sentences parsed by a recursive grammar of the test's own, signals and targets re-computed from them."""

import math
import re
from collections import Counter, defaultdict
from functools import cache
from itertools import product

import pytest
import torch

from lstm_probe.core.errors import InputError
from lstm_probe.tasks.languages.agreement import Agreement
from lstm_probe.tasks.languages.agreement_grammar import MAIN_VERBS, NOUNS, OTHER_VERBS, PREPOSITIONS
from tests.tasks.oracles import compare, function_of_its_seed, hot

PLURALS = {noun + "s" for noun in NOUNS}


def number(word):
    """1 singular, 2 plural: nouns end in s in the plural, verbs in the singular."""
    if word in NOUNS or word in PLURALS:
        return 2 if word in PLURALS else 1
    return 2 if word in MAIN_VERBS + OTHER_VERBS else 1


def is_noun(word):
    return word in NOUNS or word in PLURALS


def is_verb(word):
    return word.removesuffix("s") in MAIN_VERBS + OTHER_VERBS


def tree(words):
    """Parse a sentence by recursive descent; returns (subject, phrases, clause, verb) with positions, or fails."""
    place = 0

    def take(test):
        nonlocal place
        assert place < len(words) and test(words[place]), (words, place)
        place += 1
        return place - 1

    def peek(test):
        return place < len(words) and test(words[place])

    def clause(verbs):
        take("the".__eq__)
        subject, phrases, inner = take(is_noun), [], None
        while peek(PREPOSITIONS.__contains__):
            place_of = take(PREPOSITIONS.__contains__)
            take("the".__eq__)
            phrases.append((place_of, take(is_noun)))
        if peek("that".__eq__):
            take("that".__eq__)
            if peek("the".__eq__):
                inner = clause(OTHER_VERBS)
            else:
                own = take(lambda w: w.removesuffix("s") in OTHER_VERBS)
                take("the".__eq__)
                inner = (own, take(is_noun))
        verb = take(lambda w: w.removesuffix("s") in verbs)
        return {"subject": subject, "phrases": phrases, "inner": inner, "verb": verb}

    whole = clause(MAIN_VERBS)
    assert place == len(words)
    return whole


def clauses(whole):
    """The clauses with subjects of their own, the outermost first."""
    found = [whole]
    while isinstance(found[-1]["inner"], dict):
        found.append(found[-1]["inner"])
    return found


def agreement_oracle(inputs, task):
    words = [task.input_names[hot(lines)] for lines in inputs]
    parsed = clauses(tree(words))
    subjects = [clause["subject"] for clause in parsed]
    for clause in parsed:
        assert number(words[clause["subject"]]) == number(words[clause["verb"]])
        assert task.min_attractors <= len(clause["phrases"]) <= task.attractors
        if isinstance(clause["inner"], tuple):
            assert number(words[clause["inner"][0]]) == number(words[clause["subject"]])
            assert len(parsed) <= task.nesting
    assert task.min_nesting <= len(parsed) - 1 <= task.nesting
    rows = []
    for step, word in enumerate(words):
        waiting = [c for c in parsed if c["subject"] <= step < c["verb"]]
        slots = [number(words[c["subject"]]) if c in waiting else 0 for c in parsed]
        slots += [0] * (task.nesting + 1 - len(slots))
        due = number(words[waiting[-1]["subject"]]) if waiting else 0
        nouns = [k for k in range(step + 1) if is_noun(words[k])]
        others = [k for k in nouns if k not in subjects]
        last = number(words[nouns[-1]]) if nouns else 0
        only_verb = any(step == (c["inner"][1] if isinstance(c["inner"], tuple) else c["inner"]["verb"])
                        for c in parsed if c["inner"])  # fmt: skip
        signals = {"due": due, "depth": len(waiting), "verb_due": int(only_verb),
                   "attractor": number(words[others[-1]]) if others else 0, "last_noun": last,
                   "conflict": int(bool(due) and last != due),
                   "since_subject": step - waiting[-1]["subject"] if waiting else 0,
                   "verb": int(is_verb(word)), "step": step}  # fmt: skip
        signals |= {f"subject{k}": value for k, value in enumerate(slots)}
        coming = words[step + 1 :][:1]
        if task.predict == "number":
            target = {"number": number(coming[0]) - 1 if coming and is_verb(coming[0]) else None}
        elif task.predict == "next":
            target = {"next": task.input_names.index(coming[0]) if coming else task.n_inputs}
        else:
            legal = language(task)[1][" ".join(words[: step + 1])]
            target = {"legal": [float(word in legal) for word in (*task.input_names, ".")]}
        rows.append((signals, target))
    return rows


@cache
def language(task):
    """All sentences of a small language, written out, and for each beginning the words that go on, "." for the end."""
    noun = {1: NOUNS[0], 2: NOUNS[0] + "s"}
    verb = lambda verbs, number: verbs[0] + "s" * (number == 1)  # noqa: E731

    def written(level):
        for own, phrases in product((1, 2), range(task.min_attractors, task.attractors + 1)):
            inner = [""] if level >= task.min_nesting else []
            if level < task.nesting:
                inner += [f"that {clause} " for clause in written(level + 1)]
                if level >= task.min_nesting:
                    inner += [f"that {verb(OTHER_VERBS, own)} the {noun[k]} " for k in (1, 2)]
            for others, clause in product(product((1, 2), repeat=phrases), inner):
                attached = "".join(f"{PREPOSITIONS[0]} the {noun[k]} " for k in others)
                verbs = OTHER_VERBS if level else MAIN_VERBS
                yield f"the {noun[own]} {attached}{clause}{verb(verbs, own)}"

    following = defaultdict(set)
    for sentence in (sentences := set(written(0))):
        words = [*sentence.split(), "."]
        for k in range(1, len(words)):
            following[" ".join(words[:k])].add(words[k])
    return sentences, following


CASES = [
    Agreement(),
    Agreement(attractors=0, nesting=0, words=8, predict="next"),
    Agreement(attractors=3, min_attractors=1, nesting=3, words=2),
    Agreement(attractors=2, min_attractors=2, nesting=2, min_nesting=2, predict="next"),
]


@pytest.mark.parametrize("task", CASES, ids=repr)
def test_sentences_targets_and_signals_agree_with_the_oracle(task):
    compare(task, agreement_oracle, n=60)


SMALL = [
    Agreement(attractors=1, nesting=1, words=1, predict="legal"),
    Agreement(attractors=1, min_attractors=1, nesting=1, min_nesting=1, words=1, predict="legal"),
    Agreement(attractors=1, nesting=2, words=1, predict="legal"),
]


@pytest.mark.parametrize("task", SMALL, ids=repr)
def test_legal_words_are_those_with_which_a_sentence_can_go_on(task):
    compare(task, agreement_oracle, n=60)


def test_every_sentence_of_a_small_language_comes():
    assert set(sentences(SMALL[0], 8_000)) == language(SMALL[0])[0] and len(language(SMALL[0])[0]) == 54
    assert set(sentences(SMALL[1], 1_000)) == language(SMALL[1])[0]
    assert set(sentences(SMALL[2], 1_000)) < language(SMALL[2])[0]


@pytest.mark.parametrize("task", CASES, ids=repr)
def test_a_sample_is_a_function_of_its_seed(task):
    function_of_its_seed(task)


def test_training_is_on_the_same_sentences_without_signals():
    task = Agreement(predict="next")
    whole, bare = task.sample(50, seed=3), task.sample_training(50, seed=3)
    assert torch.equal(whole.inputs, bare.inputs) and not bare.signals
    assert all(torch.equal(whole.targets[name], bare.targets[name]) for name in whole.targets)


def sentences(task, n):
    batch = task.sample(n, seed=5)
    rows = zip(batch.inputs.argmax(-1).tolist(), batch.lengths.tolist())
    return Counter(" ".join(task.input_names[k] for k in row[:length]) for row, length in rows)


def test_chances_of_sentences_written_by_hand():
    counts, n = sentences(Agreement(attractors=1, nesting=1, words=1), 20_000), 20_000
    known = {
        "the key sleeps": 1 / 2 / 3,
        "the keys near the key sleep": 1 / 2 / 3 / 2 / 2,
        "the key that the keys see sleeps": 1 / 2 / 3 / 2 / 2 / 2,
        "the keys that see the key sleep": 1 / 2 / 3 / 2 / 2,
        "the key near the keys that the key near the keys sees sleeps": 1 / 2 / 3 / 2 / 2 / 2 / 2 / 2 / 2,
    }
    for sentence, chance in known.items():
        assert abs(counts[sentence] - n * chance) < 5 * (n * chance) ** 0.5, sentence
    assert not any(re.search("keys (sleeps|sees)", s) for s in counts if s.count("key") == 1)


def test_entropy_is_what_the_sentences_chances_say():
    """The entropy of whole sentences, each found with its chance by walking through the language."""
    for task in (Agreement(attractors=1, nesting=0, words=1), Agreement(attractors=0, nesting=1, words=2)):
        chances, walks = {}, [((), 0, 1.0)]
        _, following, share = task.grammar.table
        while walks:
            words, state, chance = walks.pop()
            arcs = [(w, to) for w, to in enumerate(following[state].tolist()) if to >= 0]
            if not arcs:
                chances[words] = chance
            walks += [((*words, w), to, chance * float(share[state, w])) for w, to in arcs]
        assert sum(chances.values()) == pytest.approx(1)
        nats = -sum(p * math.log(p) for p in chances.values())
        length = sum(len(words) * p for words, p in chances.items())
        assert task.grammar.entropy == pytest.approx(nats / length, abs=1e-12)
        # And by the frequencies of sentences that were drawn.
        counts = sentences(task, 5_000)
        names = task.input_names
        for words, chance in chances.items():
            expected = 5_000 * chance
            assert abs(counts[" ".join(names[w] for w in words)] - expected) < 5 * expected**0.5 + 1


def test_longer_sentences_than_in_training():
    batch = Agreement(attractors=10, min_attractors=8, nesting=4, min_nesting=4).sample(20, seed=0)
    assert batch.lengths.min() >= 2 * 5 + 5 * 8 * 3 + 5 + 4
    assert batch.signals["depth"].values.max() == 5


@pytest.mark.parametrize(
    ("parameters", "problems"),
    [
        ({"attractors": -1, "nesting": 5, "words": 9}, ["task.attractors=-1", "task.nesting=5", "task.words=9"]),
        ({"min_attractors": 3}, ["task.min_attractors=3: must be at most task.attractors=2"]),
        ({"min_nesting": 2, "predict": "verb"}, ["task.predict=verb", "task.min_nesting=2"]),
    ],
)
def test_bad_parameters_are_all_named(parameters, problems):
    with pytest.raises(InputError) as caught:
        Agreement(**parameters)
    assert len(caught.value.problems) == len(problems)
    assert all(any(part in line for line in caught.value.problems) for part in problems)


def test_a_small_network_learns_it():
    from lstm_probe.network.model import SequenceModel
    from lstm_probe.network.training import Trainer, evaluate

    task = Agreement(attractors=1, nesting=1, words=2)
    model = SequenceModel(task.n_inputs, task.n_outputs, 12, seed=0)
    Trainer(model, task, steps=400, batch=64, lr=0.03).fit()
    assert evaluate(model, task.sample(400, seed=9))["number"] > 0.8
