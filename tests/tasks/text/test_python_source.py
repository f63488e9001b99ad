"""The signals of Python source against a lexer written by hand, and where its windows begin."""

import keyword
import re
from dataclasses import replace

import numpy as np

from lstm_probe.tasks.text.characters import OTHER
from lstm_probe.tasks.text.python_signals import token_marks
from lstm_probe.tasks.text.python_source import PythonSource, in_strings
from tests.tasks.oracles import lines_oracle

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
    assert {"".join(map(str, row.int().tolist())) for row in one.sample(5).signals["in_string"].values} == {"000011000"}
