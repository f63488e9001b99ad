"""The page on num_units: its numbers are those of the tables, nothing is missing, links and commands work."""

import math
import re
import shlex
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

import lstm_probe.report.answer as answering
from lstm_probe.cli import main
from lstm_probe.cli.config import SCHEMAS
from lstm_probe.cli.validation import validate
from lstm_probe.report.answer import write_answer
from lstm_probe.reproduce.num_units.answer import QUESTION, Answer, answer
from lstm_probe.reproduce.num_units.onward import command
from tests.reproduce.answered import TRACKED, material

SECTIONS = ("unit", "remember", "sizes", "needed", "source", "next", "made")


class Read(HTMLParser):
    """What a page says: its tables by caption, its headings, links, pictures and commands."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.headings: list[int] = []
        self.links: list[str] = []
        self.alts: list[str] = []
        self.ids: list[str] = []
        self.commands: list[str] = []
        self.words, self.rows, self.caption = "", [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        own = dict(attributes)
        self.ids += [own["id"]] if "id" in own else []
        self.links += [own["href"]] if "href" in own else []
        self.alts += [own["alt"]] if tag == "img" else []
        self.headings += [int(tag[1])] if re.fullmatch("h[1-6]", tag) else []
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td", "caption", "pre"):
            self.words = ""
        if tag == "table":
            self.rows = []

    def handle_data(self, data):
        self.words += data

    def handle_endtag(self, tag):
        if tag in ("th", "td"):
            self.rows[-1].append(self.words)
        elif tag == "caption":
            self.caption = self.words
        elif tag == "table":
            self.tables[self.caption] = self.rows
        elif tag == "pre":
            self.commands.append(self.words)

    def table(self, start: str) -> list[list[str]]:
        """The rows of the table whose caption starts so, its head first."""
        return next(rows for caption, rows in self.tables.items() if caption.startswith(start))


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> Answer:
    made = material(tmp_path_factory.mktemp("answer"), sizes=(1, 2, 8))
    for run in made.runs:
        (run.path / "report.html").touch()
    return answer(made)


@pytest.fixture(scope="module")
def page(told) -> Path:
    return write_answer(told)


@pytest.fixture(scope="module")
def read(page) -> Read:
    return Read(page.read_text())


def test_every_section_is_there_and_headings_are_in_order(page, read):
    assert [name for name in read.ids if name in SECTIONS] == list(SECTIONS)
    assert read.headings[0] == 1
    assert read.headings.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(read.headings, read.headings[1:]))
    assert f"<title>{QUESTION}" in page.read_text()


def test_scores_are_those_of_the_runs(told, read):
    head, *rows = read.table("The score of each answer")
    runs = told.material.runs
    assert [row[0] for row in rows] == ["1", "2", "8"]
    for row in rows:
        own = [run for run in runs if str(run.info["units"]) == row[0]]
        assert row[1] == f"{sum(run.info['solved'] for run in own)} of {len(own)}"
        for target, shown in zip(head[2:], row[2:], strict=True):
            low, high = (math.floor(100 * f(run.info["scores"][target] for run in own)) / 100 for f in (min, max))
            assert shown == (f"{low:.2f}" if low == high else f"{low:.2f} to {high:.2f}")


def test_units_of_their_own_are_those_of_the_probes(told, read):
    head, *rows = read.table("In how many networks")
    for row in rows:
        own = [run for run in told.material.runs if str(run.info["units"]) == row[0]]
        for target, shown in zip(head[1:], row[1:], strict=True):
            tables = [run.probes[run.probes["variable"] == "c"] for run in own]
            tracked = sum(bool(t.loc[t["signal"] == target, "tracks"].any()) for t in tables)
            best = sum(t.loc[t["signal"] == target, "effect"].max() for t in tables) / len(tables)
            assert shown == f"{tracked} of {len(own)} ({best:.2f})"


def test_needed_units_are_those_of_the_ablations(told, read):
    _, *rows = read.table("Units of each network")
    for row in rows:
        own = [run for run in told.material.runs if str(run.info["units"]) == row[0]]
        alone = {str(run.ablations.loc[run.ablations["needed"] == "alone", "unit"].nunique()) for run in own}
        assert {row[1]} == alone
        assert row[4] == "–"


def test_parameters_effects_and_the_search_are_shown(told, read, page):
    words = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", page.read_text()))
    assert [row[1] for row in read.table("Parameters of a layer")[1:]] == ["40", "88", "544"]
    _, *rows = read.table("Units that people know")
    assert [(row[1], row[3], row[4].split()[0]) for row in rows] == [(one[0], str(one[1]), f"{one[2]:.2f}")
                                                                    for one in TRACKED]  # fmt: skip
    needed = told.needed
    for said in (*told.gist, *told.network.follows, *told.sizes.own, *needed.law, *needed.few, *needed.many,
                 needed.begin, needed.size.sentence, told.source.gist, told.sizes.seeds):  # fmt: skip
        assert said in unescape(words)


def test_links_lead_somewhere_and_nothing_is_asked_for(page, read):
    for link in read.links:
        place, _, anchor = link.partition("#")
        assert (anchor in read.ids) if not place else (page.parent / place).resolve().exists(), link
    assert sum("report.html" in link for link in read.links) >= 6
    assert "http" not in "".join(read.links)
    assert "style=" not in re.sub(r"<style>.*?</style>", "", page.read_text(), flags=re.DOTALL)
    assert len(read.alts) == len(set(read.alts)) + 1 == 11  # the network that is looked at closely is shown twice
    assert all(len(alt) > 40 for alt in read.alts)


def test_every_command_is_one(told, read):
    from tests.cli.test_config import composed

    assert len(read.commands) > 20
    for line in set(read.commands):
        program, name, *words = shlex.split(line)
        assert program == "lstm-probe"
        words = [word if "[" in word else word.split(",")[0] for word in words]
        config = composed(name, *(word for word in words if "data.csv" not in word and word != "task=table"))
        assert type(config) is SCHEMAS[name]
        assert not [line for line in validate(config) if "table" not in line], line


def test_the_folder_of_the_store_is_named_where_it_is_another_one():
    assert command("report", outputs="elsewhere") == "lstm-probe report outputs=elsewhere"
    assert command("report", outputs="outputs") == "lstm-probe report"


def test_a_character_model_in_which_nothing_was_found_has_no_text(tmp_path, monkeypatch):
    drawn = {}
    monkeypatch.setattr(answering, "save", lambda figure, path: drawn.setdefault(path.name, figure))
    monkeypatch.setattr(answering, "picture", lambda path, alt: {"uri": "", "alt": alt, "width": "1", "height": "1"})
    told = answer(material(tmp_path, sizes=(8,), seeds=1, tracked=[(*one[:3], False) for one in TRACKED]))
    text = write_answer(told).read_text()
    assert "No unit of it was found to track anything" in text
    assert "Only one network of each size was trained" in text
    assert 'id="made"' in text
    assert set(drawn) == {"anatomy", "anatomy-larger", "units", "traces", "sizes", "law", "search", "units-8"}


def test_the_command_makes_the_page_and_says_the_gist(told, capsys, tmp_path, monkeypatch):
    import lstm_probe.cli.commands.reproduce as reproducing

    monkeypatch.chdir(tmp_path)
    wanted, written = [], []
    monkeypatch.setattr(reproducing, "make", lambda plan, measuring: wanted.append(plan) or told.material)
    monkeypatch.setattr(reproducing, "write_answer", lambda told: written.append(told) or Path("a/page.html"))
    assert main(["reproduce", "name=num_units", "sizes=[2,8]", "seeds=1"]) == 0
    assert [(run.units, run.seed, run.force) for run in wanted[0].runs] == [(2, 0, False), (8, 0, False)]
    shown = capsys.readouterr().out
    assert QUESTION in shown
    assert "a/page.html" in shown
    assert " ".join(written[0].gist[1].split()) in " ".join(shown.split())


def test_sizes_belong_to_that_page_alone(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["reproduce", "name=dyck1", "sizes=[2,8]"]) == 2
    assert capsys.readouterr().err == "sizes=[2,8]: only name=num_units compares sizes.\n"
    assert main(["reproduce", "name=num_units", "sizes=[0]"]) == 2
    assert "must be a list of a whole number from 1 to 512" in capsys.readouterr().err
    assert main(["reproduce"]) == 0
    assert QUESTION in capsys.readouterr().out
