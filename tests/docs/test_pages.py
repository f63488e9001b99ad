"""What the pages tell to type works: their Python is run, their commands are checked as the command line does."""

import re
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

import lstm_probe as lp
from lstm_probe.cli import main
from lstm_probe.cli.launch import read_arguments
from lstm_probe.cli.overrides import check
from lstm_probe.core.files import configuration_folder
from tests.docs.snippets import PAGES, ROOT, RUN, commands, links, made_targets, python_blocks, scripts

TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text(encoding="utf-8") for page in PAGES}
WITH_PYTHON = [page for page, text in TEXTS.items() if list(python_blocks(text))]


def of(place: Path, line: str) -> str:
    """Put the run's real folder where a page has a word for it."""
    run = (place / "run").resolve().relative_to(place).as_posix()
    return re.sub(r"\bDIR\b", run, line).replace(RUN, run).replace("<name>", "parity")


@pytest.mark.parametrize("page", WITH_PYTHON)
def test_the_python_of_a_page_runs_from_top_to_bottom(page, place, monkeypatch):
    monkeypatch.setattr(lp, "size", partial(lp.size, steps=1, test_sequences=16), raising=False)
    names = {"__name__": "page"}
    for line, code in python_blocks(TEXTS[page]):
        code = re.sub(r"\b(largest|budget)=\d+", lambda found: f"{found[1]}={2 if found[1] == 'largest' else 4}", code)
        exec(compile("\n" * (line - 1) + of(place, code), page, "exec"), names)
    plt.close("all")


@pytest.mark.parametrize("page", TEXTS)
def test_the_commands_of_a_page_are_legal(page, place, capsys):
    for arguments in commands(TEXTS[page]):
        command, *rest = [of(place, argument) for argument in arguments]
        if "--help" in arguments or command.startswith("-"):
            assert main([command, *rest]) == 0
            continue
        args, _ = read_arguments(rest)
        folders = [configuration_folder(), *([Path(args.config_dir)] if args.config_dir else [])]
        if args.config_dir:  # offers the tasks of the folder first
            assert main([command, *rest, "--cfg", "job"]) == 0
        check(command, args.overrides, args.multirun, folders)


#: Of the pages, word for word, but for what makes them small.
REALLY = [
    "describe units=32 inputs=8", "tasks name=dyck1", "runs", "runs check=true", "report", "export run=DIR format=onnx",
    "probe run=DIR card=3", "ablate run=DIR ablate.analyses=[used,dimension]", "shrink run=DIR",
    "import path=model.keras", "train task=table task.path=data.csv units=16",
]  # fmt: skip
LESS = {
    "train": ["units=3", "steps=5", "test_sequences=16", "measure=none"],
    "shrink": ["sequences=64", "measure=none"],
}


@pytest.mark.parametrize("line", REALLY)
def test_commands_of_the_pages_do_what_they_say(line, place, capsys):
    arguments = [of(place, word) for word in line.split()]
    assert line.split() in [command for text in TEXTS.values() for command in commands(text)]
    less = LESS.get(arguments[0], [])
    kept = [word for word in arguments if word.partition("=")[0] not in {key.partition("=")[0] for key in less}]
    assert main([*kept, *less]) == 0, capsys.readouterr().err
    assert capsys.readouterr().out


@pytest.mark.parametrize("page", TEXTS)
def test_a_page_names_what_there_is(page):
    text = TEXTS[page]
    makefile = (ROOT / "Makefile").read_text()
    assert made_targets(text) <= set(re.findall(r"^(\w+):", makefile, re.M))
    assert all((ROOT / script).is_file() for script in scripts(text))
    for link in links(text):
        path, _, anchor = link.partition("#")
        assert "://" not in link or page == "CONTRIBUTING.md", f"{link}: no page of the project needs the network"
        where = (ROOT / page).parent / path if path else ROOT / page
        assert where.exists(), link
        if anchor and "{{" not in where.read_text():  # what is filled in is looked at when the pages are built
            heads = re.findall(r"^#+ (.*)$", where.read_text(), re.M)
            assert anchor in {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}, link


def test_what_counts_as_a_command():
    text = "`tasks name=dyck1` `train` `lstm-probe size task=<name>` `probe run=...` ```x``` `x=1`\n"
    text += "```console\n$ python -m lstm_probe describe units=2  # small\nlstm-probe COMMAND key=1\n```\n"
    text += "```python\nlp.size(1)\n```\n"
    shown = [["describe", "units=2"], ["size", "task=<name>"], ["tasks", "name=dyck1"]]
    assert commands(text) == shown and list(python_blocks(text)) == [(7, "lp.size(1)\n")]
    assert links('[a](b.md#c) `[d](e)` ![f](g.png) <img width=1 src="h.png">') == ["b.md#c", "g.png", "h.png"]
