"""The language tasks: strings of the language, targets the legal next symbols, signals as re-computed."""

import math
import re
from collections import Counter, defaultdict
from itertools import accumulate, pairwise, product

import pytest
import torch

from lstm_probe.tasks.languages.anbn import AnBn
from lstm_probe.tasks.languages.anbncn import AnBnCn
from lstm_probe.tasks.languages.dyck import Dyck
from lstm_probe.tasks.languages.reber import SYMBOLS, Reber
from lstm_probe.tasks.languages.shuffle import Shuffle
from lstm_probe.tasks.languages.tomita import Tomita
from tests.tasks.oracles import compare, function_of_its_seed, hot, identity, names_all


def anbn_oracle(inputs, task):
    """What may follow is found by looking through all strings of the language that begin as this one does."""
    letters = task.letters
    word = "".join(("S" + letters)[hot(lines)] for lines in inputs)
    everything = ["S" + "".join(letter * n for letter in letters) for n in range(1, len(word) + 3)]
    assert word in everything and task.min_n <= word.count("a") <= task.max_n
    rows = []
    for step in range(len(word)):
        seen = word[: step + 1]
        counts = [seen.count(letter) for letter in letters]
        follow = {w[step + 1 :][:1] or "end" for w in everything if w.startswith(seen)}
        differences = {f"{a}_minus_{b}": seen.count(a) - seen.count(b)
                       for k, a in enumerate(letters) for b in letters[k + 1 :]}  # fmt: skip
        current = letters.find(seen[-1])
        used_up = int(current > 0 and counts[current] == counts[0])
        signals = {**differences, "used_up": used_up, "letter": current + 1,
                   "run": counts[current] if current >= 0 else 0, "step": step}  # fmt: skip
        coming = [*letters, "end"]
        if task.predict == "legal":
            target = {"legal": [float(symbol in follow) for symbol in coming]}
        else:
            target = {"next": coming.index(word[step + 1 :][:1] or "end")}
        rows.append((signals, target))
    return rows


def shuffle_oracle(inputs, task):
    depth, opened, rows = [0] * task.kinds, 0, []
    for step, lines in enumerate(inputs):
        symbol = hot(lines)
        depth[symbol % task.kinds] += 1 if symbol < task.kinds else -1
        opened += symbol < task.kinds
        assert min(depth) >= 0
        signals = {f"depth{k}": d for k, d in enumerate(depth)}
        signals |= {f"closable{k}": int(d > 0) for k, d in enumerate(depth)}
        signals |= {"depth": sum(depth)} if task.kinds > 1 else {}
        legal = [1.0] * task.kinds + [float(d > 0) for d in depth]
        rows.append(({**signals, "opened": opened, "step": step}, {"legal": legal}))
    assert max(depth) == 0 and task.min_length <= len(inputs) <= task.max_length
    return rows


def dyck_oracle(inputs, task):
    stack, opened, rows = [], 0, []
    for step, lines in enumerate(inputs):
        symbol = hot(lines)
        if symbol < task.kinds:
            stack.append(symbol + 1)
            opened += 1
        else:
            assert stack.pop() == symbol - task.kinds + 1
        assert len(stack) <= task.max_depth
        slots = {f"slot{k}": stack[k] if k < len(stack) else 0 for k in range(min(task.max_depth, 8))}
        full, top = len(stack) == task.max_depth, stack[-1] if stack else 0
        signals = {"depth": len(stack), "top": top, **slots, "full": int(full), "empty": int(not stack),
                   "opened": opened, "step": step}  # fmt: skip
        closing = [float(k + 1 == top) for k in range(task.kinds)]
        rows.append((signals, {"legal": [float(not full)] * task.kinds + closing + [float(not stack)]}))
    assert not stack and task.min_length <= len(inputs) <= task.max_length
    return rows


def odd_zeros_after_odd_ones(word):
    runs = re.findall("0+|1+", word)
    return any(a[0] == "1" and len(a) % 2 and len(b) % 2 for a, b in pairwise(runs))


TOMITA = {
    1: lambda w: "0" not in w,
    2: lambda w: re.fullmatch("(10)*", w) is not None,
    3: lambda w: not odd_zeros_after_odd_ones(w),
    4: lambda w: "000" not in w,
    5: lambda w: w.count("0") % 2 == 0 and w.count("1") % 2 == 0,
    6: lambda w: (w.count("0") - w.count("1")) % 3 == 0,
    7: lambda w: re.fullmatch("0*1*0*1*", w) is not None,
}
ENDINGS = ["".join(bits) for k in range(4) for bits in product("01", repeat=k)]


def tomita_oracle(inputs, task):
    """A prefix can be completed if some ending of up to three bits does it; states differ by some ending."""
    inside = TOMITA[task.grammar]
    word = "".join("01"[hot(lines)] for lines in inputs)
    assert inside(word) and task.min_length <= len(word) <= task.max_length
    rows = []
    for step in range(len(word)):
        seen = word[: step + 1]
        legal = [float(any(inside(seen + bit + ending) for ending in ENDINGS)) for bit in "01"]
        legal.append(float(inside(seen)))
        signals = {name: legal[k] for k, name in enumerate(("zero_next", "one_next", "may_end"))
                   if name in TELLING[task.grammar]}  # fmt: skip
        signals |= {"step": step, "zeros": seen.count("0"), "ones": seen.count("1"),
                    "run": len(seen) - len(seen.rstrip(seen[-1]))}  # fmt: skip
        signals["state"] = TOMITA_STATES[task.grammar][tuple(inside(seen + ending) for ending in ENDINGS)]
        rows.append((signals, {"legal": legal}))
    return rows


#: A word that leads to each state, and from it the state's number by which endings it accepts.
TOMITA_WORDS = {
    1: ["1"], 2: ["10", "1"], 3: ["11", "1", "10", "100"], 4: ["1", "0", "00"],
    5: ["11", "0", "1", "01"], 6: ["01", "0", "1"], 7: ["0", "01", "10", "101"],
}  # fmt: skip
TOMITA_STATES = {
    grammar: {tuple(TOMITA[grammar](word + ending) for ending in ENDINGS): k for k, word in enumerate(words)}
    for grammar, words in TOMITA_WORDS.items()
}

#: The outputs that are not always the same.
TELLING = {1: (), 2: ("zero_next", "one_next", "may_end"), 3: ("one_next", "may_end"), 4: ("zero_next",),
           5: ("may_end",), 6: ("may_end",), 7: ("zero_next",)}  # fmt: skip

TAIL = "T*V(PXT*V)*(V|PS)"
INNER = f"B(TS*X(S|X{TAIL})|P{TAIL})E"
WHOLE = {
    "simple": re.compile(INNER),
    "embedded": re.compile(f"B(T{INNER}T|P{INNER}P)E"),
}
#: The ends of the shortest strings: from wherever a string stands, one of them completes it.
SHORTEST = {
    "simple": ["BTXSE", "BPVVE"],
    "embedded": [f"B{outer}{inner}{outer}E" for outer in "TP" for inner in ("BTXSE", "BPVVE")],
}
COMPLETIONS = {name: {word[k:] for word in words for k in range(len(word) + 1)} for name, words in SHORTEST.items()}
EDGES = ("0B1", "1T2", "1P3", "2S2", "2X4", "3T3", "3V5", "4X3", "4S6", "5P4", "5V6", "6E7")
ARCS = {(int(start), symbol): int(end) for start, symbol, end in EDGES}


def reber_place(seen, variant):
    """Where a string stands: (outer symbol to repeat, place), from the string since its own beginning."""
    if variant == "simple":
        outer, place, inner = 0, 0, seen
    elif len(seen) < 2:
        return 0, 8 + len(seen)
    else:
        outer, place, inner = " TP".index(seen[1]), 0, seen[2:]
    for k, symbol in enumerate(inner):
        if place == 7:
            assert symbol == seen[1]
            return (0, 10) if k == len(inner) - 1 else (0, 11)
        place = ARCS[place, symbol]
    return outer, place


def reber_legal(seen, variant):
    """The symbols with which the string is the beginning of one that matches the expression."""
    whole, endings = WHOLE[variant], COMPLETIONS[variant]
    return {s for s in SYMBOLS if any(whole.fullmatch(seen + s + ending) for ending in endings)}


def reber_oracle(inputs, task):
    stream = "".join(SYMBOLS[hot(lines)] for lines in inputs)
    variant = "embedded" if task.variant == "continual" else task.variant
    if task.variant != "continual":
        assert WHOLE[variant].fullmatch(stream + "E")
    assert task.min_length <= len(stream) <= task.max_length
    own, held, ended, rows = "", 0, 0, []
    for step, symbol in enumerate(stream):
        own += symbol
        legal = reber_legal(own, variant)
        if task.variant == "continual" and WHOLE["embedded"].fullmatch(own):
            own, legal, ended = "", {"B"}, ended + 1
        outer, place = reber_place(own, variant)
        signals = {"place": place, "step": step}
        if task.variant != "simple":
            held = 0 if place == 0 else held + 1
            signals |= {"outer": outer, "inside": int(place < 7), "held_for": held}
        if task.variant == "continual":
            signals["strings"] = ended
        rows.append((signals, {"legal": [float(s in legal) for s in SYMBOLS]}))
    return rows


CASES = [
    (AnBn(), anbn_oracle),
    (AnBn(min_n=3, max_n=9, predict="next"), anbn_oracle),
    (AnBnCn(), anbn_oracle),
    (AnBnCn(min_n=2, max_n=2, predict="next"), anbn_oracle),
    (Shuffle(), shuffle_oracle),
    (Shuffle(kinds=1, max_length=12), shuffle_oracle),
    (Shuffle(kinds=4, min_length=9, max_length=31), shuffle_oracle),
    (Dyck(), dyck_oracle),
    (Dyck(kinds=1, max_depth=1, max_length=9), dyck_oracle),
    (Dyck(kinds=5, max_depth=10, min_length=20, max_length=41), dyck_oracle),
    *((Tomita(grammar=k), tomita_oracle) for k in range(1, 8)),
    (Tomita(grammar=5, min_length=7, max_length=33), tomita_oracle),
]
REBER = [(Reber(variant="simple"), reber_oracle), (Reber(), reber_oracle),
         (Reber(variant="continual", min_length=20, max_length=40), reber_oracle)]  # fmt: skip


@pytest.mark.parametrize(("task", "oracle"), CASES, ids=identity)
def test_strings_targets_and_signals_agree_with_the_oracle(task, oracle):
    compare(task, oracle, n=30)


@pytest.mark.parametrize(("task", "oracle"), REBER, ids=identity)
def test_reber_agrees_with_regular_expressions(task, oracle):
    compare(task, oracle, n=12)


#: Of these there are too few strings for two samples to differ for sure.
FEW = (AnBnCn(min_n=2, max_n=2, predict="next"), Tomita(grammar=1), Tomita(grammar=2))


@pytest.mark.parametrize(
    "task", [task for task, _ in CASES + REBER if task not in FEW], ids=lambda task: repr(task)[:40]
)
def test_a_sample_is_a_function_of_its_seed(task):
    function_of_its_seed(task)


def drawn(task, n):
    """How often each string was drawn; a string is the row of its symbols' numbers."""
    batch = task.sample(n, seed=5)
    rows = zip(batch.inputs.argmax(-1).tolist(), batch.lengths.tolist())
    return Counter(tuple(row[:length]) for row, length in rows)


def evenly(counts, strings, n):
    assert set(counts) == set(strings)
    expected = n / len(strings)
    assert all(abs(count - expected) < 5 * expected**0.5 for count in counts.values())


def nested(word, kinds):
    stack = []
    for symbol in word:
        if symbol < kinds:
            stack.append(symbol)
        elif not stack or stack.pop() != symbol - kinds:
            return None
    return not stack


def test_all_dyck_strings_of_a_length_are_equally_likely():
    depth = lambda word: max(accumulate(1 if s < 2 else -1 for s in word))  # noqa: E731
    strings = [w for w in product(range(4), repeat=6) if nested(w, 2) and depth(w) <= 2]
    assert len(strings) == 32  # 4 of the 5 shapes, each with 2^3 kinds
    evenly(drawn(Dyck(kinds=2, max_depth=2, min_length=6, max_length=6), 20_000), strings, 20_000)


def test_all_shuffled_strings_of_a_length_are_equally_likely():
    def balanced(word):
        return all(
            min(accumulate((s == k) - (s == k + 2) for s in word)) >= 0 and word.count(k) == word.count(k + 2)
            for k in range(2)
        )

    strings = [w for w in product(range(4), repeat=6) if balanced(w)]
    assert len(strings) == 70  # 2 · 5 of one kind, 2 · 15 · 2 of both
    evenly(drawn(Shuffle(min_length=6, max_length=6), 40_000), strings, 40_000)


@pytest.mark.parametrize("grammar", [3, 6, 7])
def test_all_tomita_strings_of_a_length_are_equally_likely(grammar):
    strings = [w for w in product((0, 1), repeat=6) if TOMITA[grammar]("".join(map(str, w)))]
    evenly(drawn(Tomita(grammar=grammar, min_length=6, max_length=6), 20_000), strings, 20_000)


def test_lengths_are_even_among_those_that_exist():
    for task, lengths in ((Tomita(grammar=5, min_length=3, max_length=9), [4, 6, 8]),
                          (Dyck(min_length=3, max_length=8), [4, 6, 8])):  # fmt: skip
        counts = Counter(task.sample(6000, seed=0).lengths.tolist())
        assert sorted(counts) == lengths and all(abs(c - 2000) < 200 for c in counts.values())


@pytest.mark.parametrize(("shortest", "longest"), [(4, 8), (6, 10)])
def test_reber_strings_come_as_from_the_random_walk(shortest, longest):
    chances, walks = {}, [("", 0, 1.0)]
    while walks:
        word, place, chance = walks.pop()
        arcs = [(symbol, to) for (at, symbol), to in ARCS.items() if at == place]
        for symbol, to in arcs:
            if to == 7 and shortest <= len(word) <= longest:
                chances[word] = chance
            elif to < 7 and len(word) < longest:
                walks.append((word + symbol, to, chance / len(arcs)))
    n, counts = 40_000, drawn(Reber(variant="simple", min_length=shortest, max_length=longest), 40_000)
    assert {"".join(SYMBOLS[s] for s in word) for word in counts} <= set(chances)
    total = sum(chances.values())
    for word, chance in chances.items():
        expected = n * chance / total
        assert abs(counts[tuple(map(SYMBOLS.index, word))] - expected) < 5 * expected**0.5


@pytest.mark.parametrize("task", [AnBn(1, 5, "next"), AnBnCn(2, 7, "next")])
def test_entropy_of_anbn_by_brute_force(task):
    numbers = range(task.min_n, task.max_n + 1)
    words = ["S" + "".join(letter * n for letter in task.letters) for n in numbers]
    prefixes, nats = defaultdict(float), 0.0
    for word in words:
        for k in range(1, len(word) + 2):
            prefixes[(word + ".")[:k]] += 1 / len(words)
    for prefix, mass in prefixes.items():
        nats -= sum(m * math.log(m / mass) for p, m in prefixes.items() if p[:-1] == prefix)
    steps = sum(map(len, words)) / len(words)
    assert task.entropy == pytest.approx(nats / steps, abs=1e-12)


def test_strings_longer_than_in_training():
    batch = Dyck(min_length=52, max_length=100).sample(50, seed=0)
    assert batch.lengths.min() >= 52 and batch.lengths.max() > 90
    assert Tomita(grammar=7, min_length=500, max_length=500).sample(5, seed=0).inputs.sum() == 2500
    assert torch.equal(AnBn(min_n=60, max_n=60).sample(3, seed=0).lengths, torch.full((3,), 121))


@pytest.mark.parametrize(
    ("make", "problems"),
    [
        (lambda: AnBn(min_n=0, max_n=0, predict="all"), ["task.min_n=0", "task.max_n=0", "task.predict=all"]),
        (lambda: AnBnCn(min_n=20), ["task.min_n=20: must be at most task.max_n=12"]),
        (lambda: Shuffle(kinds=0, max_length=1), ["task.kinds=0", "task.max_length=1"]),
        (lambda: Shuffle(min_length=7, max_length=7), ["even lengths"]),
        (lambda: Dyck(max_depth=0, min_length=40), ["task.max_depth=0", "task.min_length=40"]),
        (lambda: Dyck(min_length=5, max_length=5), ["even lengths"]),
        (lambda: Tomita(grammar=8, min_length=9, max_length=8), ["task.grammar=8", "task.min_length=9"]),
        (lambda: Tomita(grammar=2, min_length=3, max_length=3), ["grammar 2 has no string"]),
        (lambda: Reber(variant="embeded", min_length=1), ["task.variant=embeded", "task.min_length=1"]),
        (lambda: Reber(max_length=7), ["no embedded Reber string has from 4 to 7 symbols"]),
    ],
)
def test_bad_parameters_are_all_named(make, problems):
    names_all(make, problems)
