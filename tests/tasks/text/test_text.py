"""Character models: signals against rules walked through one character at a time, splits, windows and bad files."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from lstm_probe.core.errors import InputError
from lstm_probe.core.seeding import generator
from lstm_probe.tasks.text.characters import OTHER, cut_at, side_by_side
from lstm_probe.tasks.text.python_source import PythonSource
from lstm_probe.tasks.text.signals import text_tracks
from lstm_probe.tasks.text.text import Text
from tests.tasks.oracles import lines_oracle


def text_oracle(text):
    """Every signal of a text, one character at a time."""
    rows, double, single, sentence, word = [], False, False, 0, 0
    brackets = parentheses = 0
    for k, character in enumerate(text):
        following, last = text[k + 1 : k + 2], text[k - 1] if k else ""
        sentence += 1
        if character == "\n" and last == "\n":
            double = single = False
            brackets = parentheses = sentence = 0
        if character == '"':
            double = not double
        if character in "“„":
            double = True
        if character == "”":
            double = False
        is_word = lambda c: c != "" and (c.isalnum() or c == "_")  # noqa: E731
        if character in "'’" and is_word(last) and is_word(following):
            pass
        elif character == "'":
            single = not single
        elif character in "‘’":
            single = character == "‘"
        if character in "([{":
            brackets += 1
            parentheses += character == "("
        if character in ")]}":
            brackets = max(0, brackets - 1)
            parentheses = max(0, parentheses - (character == ")"))
        if character in ".!?":
            sentence = 0
        start = is_word(character) and not is_word(last)
        word = word + 1 if is_word(character) else 0
        rows.append({
            "in_quotes": int(double), "in_single_quotes": int(single), "in_brackets": int(brackets > 0),
            "brackets": brackets, "parentheses": parentheses, "sentence": sentence, "word_place": word,
            "word_start": int(start), "in_word": int(is_word(character)), "digit": int(character.isdigit()),
            "upper_case": int(character.isupper()),
        })  # fmt: skip
    return [row | line for row, line in zip(rows, lines_oracle(text))]


def strange_text(rng, size):
    """A text in which everything that the rules look at happens often."""
    pieces = [*"ab Z9_.!?\n\n\t \"'“”‘’„()[]{}x", "\n\n", "don't", "  ", "\n    ", "word "]
    chosen = torch.randint(len(pieces), (size,), generator=rng).tolist()
    return "".join(pieces[k] for k in chosen)


def agrees(tracks, rows):
    assert {track.name for track in tracks} == set(rows[0])
    for track in tracks:
        wrong = [k for k, row in enumerate(rows) if row[track.name] != track.values[k]]
        assert not wrong, (track.name, wrong[:5])


@pytest.mark.parametrize("size", [1, 2, 7, 4000])
def test_text_signals_agree_with_the_oracle(rng, size):
    for text in (strange_text(rng, size), "\n" * size, " " * size + "a", ")" * size + "(\n\n(" * size):
        agrees(text_tracks(text), text_oracle(text))


@pytest.fixture
def book(tmp_path, rng):
    """A text file in which no stretch of ten characters comes twice."""
    path = tmp_path / "book.txt"
    letters = torch.randint(97, 123, (12_000,), generator=rng).tolist()
    path.write_text("".join("\n" if k % 37 == 36 else chr(c) for k, c in enumerate(letters)))
    return path


@pytest.mark.parametrize("begin", ["line", "anywhere"])
def test_windows_are_stretches_of_the_held_out_text_that_do_not_overlap(book, begin):
    task = Text(path=str(book), length=30, held_out=0.25, begin=begin)
    corpus, batch = task.corpus, task.sample(40, seed=3)
    assert corpus.training + corpus.held_out == book.read_text()
    assert abs(len(corpus.held_out) - 3000) <= 37
    places = []
    for inputs, following in zip(batch.inputs, batch.targets["next"]):
        text = task.text_of(inputs)
        assert text not in corpus.training and corpus.held_out.count(text) == 1
        places.append(corpus.held_out.index(text))
        assert corpus.held_out[places[-1] + 1 : places[-1] + 31] == "".join(task.alphabet[k] for k in following)
    gaps = np.diff(sorted(places))
    assert len(places) == 40 and gaps.min() >= 31
    assert begin == "anywhere" or all(k == 0 or corpus.held_out[k - 1] == "\n" for k in places)
    rows = text_oracle(corpus.held_out)
    for name, signal in batch.signals.items():
        for place, values in zip(places, signal.values):
            if name not in ("lines", "step"):
                assert values.tolist() == [rows[place + t][name] for t in range(30)]
    lines = torch.tensor([[corpus.held_out[p : p + t + 1].count("\n") for t in range(30)] for p in places])
    assert torch.equal(batch.signals["lines"].values, lines.float())


def test_what_is_trained_on_is_never_what_is_held_out(book):
    task = Text(path=str(book), length=30)
    batch = task.sample_training(500, seed=1)
    assert not batch.signals
    for inputs in batch.inputs:
        text = task.text_of(inputs)
        assert text in task.corpus.training and text not in task.corpus.held_out
    same, other = task.sample_training(500, seed=1), task.sample_training(500, seed=2)
    assert torch.equal(batch.inputs, same.inputs) and not torch.equal(batch.inputs, other.inputs)
    one, again, another = task.sample(9, seed=1), task.sample(9, seed=1), task.sample(9, seed=2)
    assert torch.equal(one.inputs, again.inputs) and not torch.equal(one.inputs, another.inputs)


def test_rare_characters_are_one_symbol(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("abab c\tdé語" * 60, encoding="utf-8")
    task = Text(path=str(path), length=11, symbols=3, held_out=0.5)
    assert task.alphabet == "ab\t"  # the most frequent first, ties by number
    assert task.input_names == ("a", "b", "tab", "other")
    assert task.targets[0].size == 4
    text = task.text_of(task.sample(1).inputs[0])
    assert set(text) <= {"a", "b", "\t", OTHER} and OTHER in text
    assert replace(task, symbols=1000).n_inputs == len(set("abab c\tdé語")) + 1


def test_defaults_come_with_python():
    for task in (Text(), PythonSource(characters=300_000)):
        batch = task.sample(64, seed=0)
        assert batch.inputs.shape == (64, task.length, task.n_inputs)
        assert not any(" " in name for name in task.input_names)
        assert len(set(task.input_names)) == task.n_inputs
        constant = [name for name, signal in batch.signals.items() if len(signal.values.unique()) == 1]
        assert not constant


def test_other_bad_input(tmp_path, book):
    with pytest.raises(InputError, match="is a folder"):
        Text(path=str(tmp_path))
    (tmp_path / "nothing").mkdir()
    with pytest.raises(InputError, match="has no Python files"):
        PythonSource(path=str(tmp_path / "nothing"))
    with pytest.raises(InputError) as caught:
        Text(path="", length=1, symbols=0, held_out=1.0, characters=5, begin="here")
    assert len(caught.value.problems) == 6
    for kind in (Text, PythonSource):
        with pytest.raises(InputError) as caught:
            kind(path="nowhere.txt", length=1)
        assert len(caught.value.problems) == 2
    task = Text(path=str(book), length=30, held_out=0.02, begin="anywhere")
    with pytest.raises(InputError, match=rf"5,000 sequences were asked for, .* only {task.most} different sequences"):
        task.sample(5000)
    assert len({task.text_of(x) for x in task.sample(task.most).inputs}) == task.most


def test_overlap_is_said(book, caplog):
    task = Text(path=str(book), length=30, held_out=0.02, begin="anywhere")
    task.sample(5)
    assert not caplog.records
    task.sample(60)
    fit = len(task.corpus.held_out) // 31  # windows and the character after each, one behind the other
    assert f"at most {fit} sequences fit" in caplog.text and "some of these 60 overlap" in caplog.text


def test_as_many_as_fit_side_by_side_do_not_overlap(book, caplog):
    task = Text(path=str(book), length=30, held_out=0.02, begin="anywhere")
    fit = len(task.corpus.held_out) // 31
    for seed in range(20):  # whatever place the first is drawn to begin at
        places = [task.corpus.held_out.find(task.text_of(x)) for x in task.sample(fit, seed=seed).inputs]
        assert min(b - a for a, b in pairwise(places)) > 30  # and in the text's order
    assert not caplog.records


def test_windows_side_by_side_by_brute_force():
    rng = generator(0)
    for _ in range(50):
        starts = torch.unique(torch.randint(0, 60, (20,), generator=rng)).numpy()
        window, shift = int(torch.randint(1, 9, (1,), generator=rng)), int(torch.randint(0, 9, (1,), generator=rng))
        expected, free = [], shift
        for place in range(61):
            if place in starts and place >= free:
                expected.append(place)
                free = place + window
        assert side_by_side(starts, window, shift) == expected


def test_the_text_is_cut_at_a_line():
    text = "aaaa\nbbbb\ncccc\ndddd\n"
    assert text[cut_at(text, 0.5, 4) :] == "cccc\ndddd\n"
    assert text[cut_at(text, 0.3, 4) :] == "dddd\n"
    assert text[cut_at(text, 0.2, 7) :] == "c\ndddd\n"  # no line's beginning leaves seven near the end
    assert cut_at("x" * 10, 0.3, 2) == 7


def test_a_small_network_learns_more_than_frequencies():
    from lstm_probe.network.model import SequenceModel
    from lstm_probe.network.training import Trainer, evaluate

    task = Text(length=40, symbols=30)
    model = SequenceModel(task.n_inputs, task.n_outputs, 16, seed=0)
    Trainer(model, task, steps=150, batch=32, lr=0.02).fit()
    assert evaluate(model, task.sample(200, seed=9))["next"] > 0.15


def test_too_many_sequences_are_refused_before_training(book):
    from lstm_probe.runs.settings import RunSettings
    from lstm_probe.runs.training import check_sequences

    task = Text(path=str(book), length=30, begin="line", held_out=0.5)
    config = RunSettings(test_sequences=task.most)
    config.probe.sequences = task.most + 1
    with pytest.raises(InputError) as caught:
        check_sequences(task, config, ["ablations"])
    said = [line.partition(":")[0] for line in caught.value.problems]
    assert said == [f"probe.sequences={task.most + 1}", "ablate.sequences=256"]
    check_sequences(replace(task, begin="anywhere"), config, ["ablations"])
    check_sequences(task, config, analyses=())  # where nothing is measured, this is no problem
    config.probe.sequences, config.ablate.sequences = task.most, task.most
    check_sequences(task, config, analyses=["probes"])
    with pytest.raises(InputError, match=r"dynamics\.sequences=256: there are only"):
        check_sequences(task, config, analyses=["timescales"])
