"""Files of text: a run knows its own by their content, and what cannot be read or is too short is refused by name."""

import hashlib
from dataclasses import asdict, replace

import pytest

from lstm_probe.cli import main
from lstm_probe.core.errors import InputError
from lstm_probe.tasks import complete_task
from lstm_probe.tasks.text.python_signals import NotPythonError, token_marks
from lstm_probe.tasks.text.python_source import PythonSource
from lstm_probe.tasks.text.text import Text


@pytest.mark.parametrize("kind", [Text, PythonSource])
def test_a_changed_file_is_another_text(tmp_path, monkeypatch, kind):
    path = tmp_path / "a.py"
    path.write_text("one = 2\n" * 50)
    before = kind(path=str(path), length=9)
    assert before.content == hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.chdir(tmp_path)
    assert kind(path="a.py", length=9) == before  # called by its full path, wherever it is looked at from
    assert kind(path="a.py", length=9, content=before.content) == replace(before, path="a.py") == before
    path.write_text("three = 4\n" * 50)
    after = kind(path=str(path), length=9)
    assert after.corpus.training.startswith("three") and before.corpus.training.startswith("one")
    assert after.content != before.content
    task = {"name": kind.name, "path": str(path), "length": 9}
    assert complete_task(task) == {"name": kind.name, **asdict(after)} != {"name": kind.name, **asdict(before)}
    with pytest.raises(InputError, match=rf"task.path={path}: has changed: .*SHA-256 {before.content[:12]} "):
        kind(path=str(path), length=9, content=before.content)
    with pytest.raises(InputError, match="there is no such file"):
        kind(path=str(tmp_path / "none.py"), length=9, content=before.content)


def test_a_changed_file_of_a_folder_is_another_text(tmp_path):
    for name in "abc":
        (tmp_path / f"{name}.py").write_text(f"{name} = 1\n" * 50)
    before = PythonSource(path=str(tmp_path), length=9)
    assert PythonSource(path=str(tmp_path), length=9) == before and len(before.content) == 64
    (tmp_path / "b.py").write_text("d = 1\n" * 50)
    after = PythonSource(path=str(tmp_path), length=9)
    assert after.content != before.content
    assert "d" in after.corpus.training + after.corpus.held_out


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "there is no such file"),
        (b"", "is empty"),
        (b" \n\n", "nothing but blanks"),
        (b"\x7fELF\0\0\1" * 99, "is binary"),
        ("text".encode("utf-16") * 99, "not UTF-8"),
        ("caf\xe9 ".encode("latin-1") * 99, r"not UTF-8 \(byte 0xe9 at 3\)"),
        (b"far too short", "its 13 characters are too few for task.length="),
        (b"x" * 110, "its 110 characters are too few"),
    ],
)
@pytest.mark.parametrize("kind", [Text, PythonSource])
def test_bad_files(tmp_path, kind, content, said):
    path = tmp_path / "a.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=f"task.path=.*a.txt: .*{said}"):
        kind(path=str(path))


@pytest.mark.parametrize(
    ("task", "content", "said"),
    [
        ("text", None, "there is no such file."),
        ("text", b"", "is empty."),
        ("text", b"\x7fELF\0\0\1" * 99, "is binary, or text that is not UTF-8; a UTF-8 text file is needed."),
        ("text", b"caf\xe9 " * 99, "is not UTF-8 (byte 0xe9 at 3); convert it first."),
        ("text", b"far too short", "its 13 characters are too few for task.length=100: the part to train on and the"
                                   " part held out need at least 101 each."),
        ("python_source", b"far = 'too short'", "its 17 characters are too few for task.length=80: the part to"
                                                " train on and the part held out need at least 81 each."),
        ("python_source", b"x = 1\n" * 99 + b"y = (1,\n",
         "does not tokenize as Python: EOF in multi-line statement in line 101."),
    ],
)  # fmt: skip
def test_bad_files_on_the_command_line(tmp_path, monkeypatch, capsys, task, content, said):
    if content is not None:
        (tmp_path / "a.txt").write_bytes(content)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert main(["train", f"task={task}", "task.path=../a.txt", "units=2"]) == 2
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", f"task.path=../a.txt: {said}\n")
    assert not list((tmp_path / "here").iterdir())


@pytest.mark.parametrize(
    ("source", "said"),
    [("x = (1,\n", "EOF in multi-line statement in line 2"),
     ("'''never closed\n", "EOF in multi-line string in line 1"),
     ("if x:\n        y\n    z\n", "unindent does not match any outer indentation level in line 3"),
     ("a = 'open\nb\n", "line 1"), ("x = $5\n", "line 1")],
)  # fmt: skip
def test_what_does_not_tokenize(tmp_path, source, said):
    with pytest.raises(NotPythonError, match=said):
        token_marks(source)
    (tmp_path / "good.py").write_text("x = 1\n" * 200)
    (tmp_path / "bad.py").write_text(source)
    for path in (tmp_path, tmp_path / "bad.py"):
        with pytest.raises(InputError, match=rf"task.path=.*bad.py: does not tokenize as Python: .*{said}"):
            PythonSource(path=str(path), length=3)


@pytest.mark.parametrize(
    ("text", "symbols", "said"),
    [("a" * 900, 96, "a"), ("ab" * 400 + "b" * 600, 96, "b"), ("aab" * 300 + "cd" * 250, 1, "other")],
)
def test_where_nothing_is_left_to_predict(tmp_path, monkeypatch, capsys, text, symbols, said):
    (tmp_path / "a.txt").write_text(text)
    monkeypatch.chdir(tmp_path)
    given = ["task=text", "task.path=a.txt", f"task.symbols={symbols}", "task.length=5", "units=2"]
    assert main(["train", *given, "task.held_out=0.3"]) == 2
    wanted = f"task.path={tmp_path / 'a.txt'}: the part held out is one symbol over and over, {said}: there is nothing"
    assert capsys.readouterr().err == f"{wanted} to predict.\n"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
