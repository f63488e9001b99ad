"""Character models: signals against rules walked through one character at a time, splits, windows and bad files."""

import keyword
import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from lstm_probe.errors import InputError
from lstm_probe.seeding import generator
from lstm_probe.tasks.characters import OTHER, cut_at, side_by_side
from lstm_probe.tasks.python_signals import token_marks
from lstm_probe.tasks.python_source import PythonSource, in_strings
from lstm_probe.tasks.text import Text
from lstm_probe.tasks.text_signals import text_tracks


def lines_oracle(text):
    """Column, indentation, line length and line start, one character at a time."""
    rows, line = [], ""
    for k, character in enumerate(text):
        start = k == 0 or text[k - 1] == "\n"
        line = character if start else line + character
        body = line.lstrip(" \t")
        ended = character == "\n"
        rows.append({"column": 0 if ended else len(line), "indentation": 0 if ended else len(line) - len(body),
                     "line_length": 0 if ended else len(body), "line_start": int(start)})  # fmt: skip
    return rows


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


SNIPPET = '''\
def f(x):  # a "note"
    """Say
    more."""
    if x[0]:
        return rb'a\\'b' + f"{x!r}" * 0x1f
y = ('', (1.5,
  "#"))
'''


def spans(text, name):
    """The stretches of a text at which a flag is on."""
    values = token_marks(text)[name]
    return [text[m.start() : m.end()] for m in re.finditer("1+", "".join(map(str, values)))]


def test_what_is_what_in_a_snippet():
    assert spans(SNIPPET, "in_comment") == ['# a "note"']
    assert spans(SNIPPET, "in_string") == ['"""Say\n    more.""', "'a\\'b", '"{x!r}', "'", '"#']
    assert spans(SNIPPET, "in_long_string") == ['"""Say\n    more.""']
    assert spans(SNIPPET, "in_keyword") == ["def", "if", "return"]
    assert spans(SNIPPET, "in_identifier") == ["f", "x", "x", "y"]
    assert spans(SNIPPET, "in_number") == ["0", "0x1f", "1.5"]
    marks = token_marks(SNIPPET)
    starts = [SNIPPET[k] for k in np.flatnonzero(marks["token_start"])]
    assert "".join(starts) == "df(x):#" + '"' + "ix[0]:" + "rr+f*0" + "y=(',(1,\"))"
    depths = [(SNIPPET[k], int(marks["brackets"][k])) for k in range(len(SNIPPET)) if SNIPPET[k] in "([)]"]
    assert depths == [("(", 1), (")", 0), ("[", 1), ("]", 0), ("(", 1), ("(", 2), (")", 1), (")", 0)]
    firsts = np.flatnonzero(np.diff(marks["blocks"], prepend=0))
    assert [(SNIPPET[k], int(marks["blocks"][k])) for k in firsts] == [('"', 1), ("r", 2), ("y", 0)]


def lexer(text):
    """Strings, comments and open brackets by hand, one character at a time; f-strings are strings like others."""
    rows, quote, comment, depth, k = [], "", False, 0, 0
    while k < len(text):
        step = 1
        if quote:
            if text[k] == "\\":
                step = 2
            elif text.startswith(quote, k):
                step, quote = len(quote), ""
                rows += [(1, 0, depth)] * (step - 1) + [(0, 0, depth)]
                k += step
                continue
        elif comment:
            comment = text[k] != "\n"
        elif text[k] == "#":
            comment = True
        elif text[k] in "\"'":
            quote = text[k] * 3 if text.startswith(text[k] * 3, k) else text[k]
            step = len(quote)
        else:
            depth += (text[k] in "([{") - (text[k] in ")]}")
        rows += [(int(bool(quote)), int(comment), depth)] * step
        k += step
    return rows


def test_python_signals_agree_with_a_lexer_written_by_hand():
    task = PythonSource(characters=200_000)
    source = task.corpus.held_out
    tracks = {track.name: track.values for track in task.corpus.tracks}
    assert {len(values) for values in tracks.values()} == {len(source)} and len(source) >= 20_000
    strings, comments, depths = map(np.array, zip(*lexer(source)))
    np.testing.assert_array_equal(tracks["in_string"], strings)
    np.testing.assert_array_equal(tracks["in_comment"], comments)
    np.testing.assert_array_equal(tracks["brackets"], depths)
    np.testing.assert_array_equal(tracks["in_brackets"], depths > 0)
    words = {m.start(): m.group() for m in re.finditer(r"[^\W\d]\w*", source)}
    plain = [k for k in words if not strings[k] and not comments[k] and source[k - 1 : k] not in tuple("0123456789.")]
    plain = [k for k in plain if not strings[min(k + len(words[k]), len(source) - 1)]]  # prefixes of strings
    for k in plain:
        assert tracks["in_keyword"][k] == keyword.iskeyword(words[k]), words[k]
    rows = lines_oracle(source[:20_000])
    for name in rows[0]:
        assert [row[name] for row in rows] == tracks[name][:20_000].tolist()
    length, since = 0, []
    for inside in strings[:50_000]:
        length = length + 1 if inside else 0
        since.append(length)
    assert since == tracks["string_length"][:50_000].tolist()


def code_begins(text):
    """The places of a file's lines that begin outside strings, by the lexer written by hand."""
    inside = [row[0] for row in lexer(text)]
    return [k for k in range(len(text)) if k == 0 or (text[k - 1] == "\n" and not inside[k - 1])]


def windows_of(task, batch):
    """The windows of a batch with the character behind each."""
    alphabet = task.alphabet + OTHER
    return [task.text_of(x) + alphabet[int(y[-1])] for x, y in zip(batch.inputs, batch.targets["next"])]


def test_windows_of_code_begin_outside_strings(tmp_path):
    """Trained on and measured are windows that begin with a line outside strings: with each such line, no other."""
    for name in "abcdefghi":
        numbers = "".join(f'{name}{k} = """{k}\n  {name}{k}\n{k}"""  # \'\n"{k} \\\n {k}"\n' for k in range(20))
        (tmp_path / f"{name}.py").write_text(numbers)
    one = tmp_path / "one.py"
    one.write_text("".join((tmp_path / f"{name}.py").read_text() for name in "abc"))
    for path, held_out in ((tmp_path, 0.4), (one, 0.3)):
        task = PythonSource(path=str(path), length=12, held_out=held_out, begin="code")
        cut, text = len(task.corpus.training), task.corpus.training + task.corpus.held_out
        begins = [k for k in code_begins(text) if cut < k <= len(text) - 13]
        assert len(begins) > 30
        drawn = set(windows_of(task, task.sample(task.most, seed=1)))
        assert drawn == {text[k : k + 13] for k in [cut, *begins]}
        begins = [k for k in code_begins(text[:cut]) if k < cut - 12]
        assert set(windows_of(task, task.sample_training(4000, seed=2))) == {text[k : k + 13] for k in begins}
        lines = [0, *(m.end() for m in re.finditer("\n", text[: cut - 13]))]
        of_lines = replace(task, begin="line").sample_training(4000, seed=2)
        assert set(windows_of(task, of_lines)) == {text[k : k + 13] for k in lines}


def test_training_source_that_does_not_tokenize_begins_no_sequence():
    inside = in_strings(['a = "b"\n', "x = (", "c\n"])
    assert "".join("-s"[bool(one)] for one in inside) == "----ss--" + "sssss" + "--"


def test_source_of_ones_own(tmp_path):
    for name in "abcde":
        (tmp_path / f"{name}.py").write_text(f"{name} = '{name}'\n" * 50)
    (tmp_path / "empty.py").write_text("")
    task = PythonSource(path=str(tmp_path), length=9, held_out=0.2)
    held = set(task.corpus.held_out) & set("abcde")
    assert len(held) == 1 and not held & set(task.corpus.training)
    one = PythonSource(path=str(tmp_path / "a.py"), length=9, held_out=0.2)
    assert one.corpus.training == "a = 'a'\n" * 40 and one.corpus.held_out == "a = 'a'\n" * 10
    assert {"".join(map(str, row.int().tolist())) for row in one.sample(5).signals["in_string"].values} == {
        "000011000"
    }


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
    with pytest.raises(InputError, match=rf"5000 sequences were asked for, .* only {task.most} different ones"):
        task.sample(5000)
    assert len({task.text_of(x) for x in task.sample(task.most).inputs}) == task.most


def test_overlap_is_said(book, caplog):
    task = Text(path=str(book), length=30, held_out=0.02, begin="anywhere")
    task.sample(5)
    assert not caplog.records
    task.sample(60)
    assert "60 of them overlap" in caplog.text


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
    from lstm_probe.model import SequenceModel
    from lstm_probe.training import Trainer, evaluate

    task = Text(length=40, symbols=30)
    model = SequenceModel(task.n_inputs, task.n_outputs, 16, seed=0)
    Trainer(model, task, steps=150, batch=32, lr=0.02).fit()
    assert evaluate(model, task.sample(200, seed=9))["next"] > 0.15


def test_too_many_sequences_are_refused_before_training(book):
    from lstm_probe.commands.train import check_sequences
    from lstm_probe.config import TrainConfig

    task = Text(path=str(book), length=30, begin="line", held_out=0.5)
    config = TrainConfig(test_sequences=task.most)
    config.probe.sequences = task.most + 1
    with pytest.raises(InputError) as caught:
        check_sequences(task, config)
    said = [line.partition(":")[0] for line in caught.value.problems]
    assert said == [f"probe.sequences={task.most + 1}", "ablate.sequences=256", "sequences of the validation=256"]
    check_sequences(replace(task, begin="anywhere"), config)
