"""The page: self-contained, escaped, whole; one run's answer, or how many units are needed."""

import base64
import io
import re
from html.parser import HTMLParser

import pytest
from PIL import Image

from lstm_probe.findings import words
from lstm_probe.report import drawing, write_report, write_run_report
from lstm_probe.runs.run import Run
from lstm_probe.sizing.recurring import Recurred
from tests.figures.made import made_run


class Reader(HTMLParser):
    """Collects the text, the addresses and the tags of a page, and checks that tags are closed in order."""

    VOID = frozenset({"meta", "img", "br", "link", "input"})

    def __init__(self, text):
        super().__init__()
        self.text, self.addresses, self.open, self.tags, self.scripts = "", [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.scripts += [name for name, _ in attrs if tag == "script" or name.startswith("on")]
        self.addresses += [value for name, value in attrs if name in ("src", "href", "srcset", "action", "data")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] not in (["script"], ["style"]):
            self.text += data


def read(path):
    return Reader(path.read_text())


def test_what_networks_have_in_common_stands_on_a_page_of_several(sweep, tmp_path, monkeypatch):
    row = dict.fromkeys(
        ("similarity", "shuffled", "p_value", "rotated", "p_rotation", "untrained", "p_untrained"), 0.25
    )
    unknown = float("nan")
    rows = [row | {"measure": "units", "ci_low": 0.11, "ci_high": 0.44}]
    rows.append(row | {"measure": "cka", "ci_low": unknown, "ci_high": unknown, "rotated": unknown})
    found = {"tracking": Recurred(["Matched <units>.", "count: in 2 of 2."], rows)}
    monkeypatch.setattr("lstm_probe.report.sweep_page.recurring", lambda runs: found)
    page = write_report(sweep[:2], tmp_path)
    text = re.sub(r"\s+", " ", read(page).text)
    assert "Is there always such a unit?" in text and "Matched <units>. count: in 2 of 2." in text
    cells = re.sub(r"(<[^>]*>|\s)+", " ", page.read_text())
    assert "units 0.25 0.11 to 0.44 0.25 0.250" in cells and "cka 0.25 – 0.25 0.250 – 0.250" in cells
    monkeypatch.setattr("lstm_probe.report.sweep_page.recurring", lambda runs: {})
    assert "always such a unit" not in read(write_report(sweep[:2], tmp_path)).text


def test_a_run_page_answers_first_and_is_self_contained(tmp_path):
    run = made_run(tmp_path, units=6)
    written = write_run_report(run, run.path)
    assert written == run.path / "report.html"
    reader = read(written)
    words = re.sub(r"\s+", " ", reader.text)
    order = [
        "Learned: all 5 targets solved",
        "Which unit remembers what",
        "unit 0",
        "Which units are needed",
        "5 of 6 units cost something",
        "the memory of unit 5,",
        "How",
    ]
    places = [words.index(word) for word in order]
    assert places == sorted(places)
    for name in ("units", "traces", "learning"):
        for suffix in ("svg", "png"):
            assert (run.path / "figures" / f"{name}.{suffix}").stat().st_size > 1000
    for address in reader.addresses:
        assert address.startswith("data:image/") or (run.path / address).is_file()
    assert not {"link", "iframe", "object"} & set(reader.tags)
    assert set(reader.scripts) <= {"type", "id"}
    assert [file.name for file in run.path.glob(".*")] == []


def test_names_are_escaped(tmp_path):
    run = made_run(tmp_path, note="<script>alert(1)</script>")
    run.info["task"] = "<b>&"
    text = write_run_report(run, tmp_path / "out").read_text()
    assert "<script>alert" not in text and "<b>&" not in text and "&lt;script&gt;" in text


def test_the_page_of_several_runs_starts_with_what_each_size_did(sweep_page):
    assert sweep_page.name == "index.html" and sweep_page.parent.name == "report"
    reader = read(sweep_page)
    words = " ".join(reader.text.split())
    assert "Counts as solved: a score of at least 0.99." in words and "needs 8" not in words
    parity = (
        "solved with 8 units in 1 of 1 seed; with 2 in 0 of 1, with 4 in 0 of 2: between 5 and 8 (5 to 7 not tried)"
    )
    assert f"parity: {parity}" in words and f"all targets at once: {parity}" in words
    assert "lstm-probe size task=tracking lr=0.01 outputs=" in words
    assert reader.tags.count("details") >= 4
    assert reader.text.count("NOT LEARNED: parity (score 0.02)") == 3
    assert "tracking: what units track, over seeds" in words
    assert "count4in 2 of 20.95too few seeds1.0" in words  # signal, units, networks, effect, interval, units
    assert "leak2in 0 of 10.05one seed0.0" in words
    assert "tracking4scoreparity0.02too few seeds2" in words and "tracking8scoreparity0.99one seed1" in words
    for address in reader.addresses:
        assert address.startswith("data:image/") or (sweep_page.parent / address).is_file()
    assert (sweep_page.parent / "figures" / "capacity.png").is_file()


def test_the_page_of_one_run_is_that_runs_answer(one_run_page):
    text = read(one_run_page).text
    assert "Which unit remembers what" in text and "Which sizes were enough" not in text


def test_what_lies_in_a_runs_own_figures_goes_nowhere(tmp_path):
    """A run may be anybody's: what is shown is drawn from its tables."""
    run = made_run(tmp_path)
    write_run_report(run, run.path)
    (run.path / "figures" / "units.svg").write_text(
        "<svg xmlns='http://www.w3.org/2000/svg'><script>evil</script></svg>"
    )
    (run.path / "figures" / "another.svg").write_text("<svg>evil</svg>")
    page = write_report([run], tmp_path)
    written = [file for file in page.parent.rglob("*") if file.is_file()]
    assert "units.svg" in {file.name for file in written} and "another.svg" not in {file.name for file in written}
    assert not [file for file in written if b"evil" in file.read_bytes()]


def test_a_picture_that_is_large_as_svg_goes_in_as_the_same_pixels(one_run_page):
    path = next(one_run_page.parent.glob("figures/*/*/units.svg")).with_suffix("")
    assert drawing.picture(path, "")["uri"].startswith("data:image/svg+xml;")
    kind, content = drawing.picture(path, "", largest=1000)["uri"].split(";base64,")
    assert kind == "data:image/webp"
    packed = Image.open(io.BytesIO(base64.b64decode(content))).convert("RGB")
    assert packed.tobytes() == Image.open(f"{path}.png").convert("RGB").tobytes()


def test_a_page_that_cannot_be_written_leaves_the_old_one_and_says_how_far_it_came(sweep, sweep_page):
    before, ready = sweep_page.read_text(), []
    broken = Run(sweep[1].path, sweep[1].info)
    broken.__dict__.update(sweep[1].__dict__, populations=None)
    with pytest.raises(Exception, match="populations"):
        write_report([sweep[0], broken], sweep_page.parents[1], ready.append)
    assert sweep_page.read_text() == before and ready == [1]
    assert [file.name for file in sweep_page.parent.iterdir() if file.name.startswith(".")] == []


def words_of(run, folder):
    """A page's text, on one line."""
    return " ".join(read(write_run_report(run, folder)).text.split())


def test_what_was_warned_of_while_a_run_was_made_stands_on_its_page(tmp_path):
    run = made_run(tmp_path)
    assert "Warnings" not in words_of(run, tmp_path / "quiet")
    run.info["warnings"] = ["sequences look dependent: <b>groups</b>", "untrained=5: too few"]
    told = words_of(run, tmp_path / "warned")
    assert "Warnings (2) sequences look dependent: <b>groups</b>. untrained=5: too few." in told


def test_the_rule_has_the_runs_own_thresholds(tmp_path):
    run = made_run(tmp_path)
    run.config["probe"] |= {"alpha": 0.02, "min_effect": 0.31, "min_effect_class": 0.52, "margin": 0.17}
    told = words_of(run, tmp_path / "own")
    assert words.rule_words(run.settings("probe")) in told
    assert "at least 0.31 for numbers, 0.52 for yes/no" in told and "at least 17 %" in told
    assert "earlier version" not in told
    run.__dict__["probes"] = run.probes.drop(columns="p_untrained")
    older = words_of(run, tmp_path / "older")
    assert "This run was measured by an earlier version: the effect is at least 0.31" in older


def test_a_run_in_which_nothing_could_be_tested_says_so(tmp_path):
    run = made_run(tmp_path, units=6)
    table = run.probes.assign(tracks=False, testable=False)
    table.attrs["not_testable"] = dict.fromkeys(table["signal"].unique(), "3 groups: a signal needs 6")
    run.__dict__["probes"] = table
    told = words_of(run, tmp_path / "out").partition("How to read this")[0]
    for sentence in (
        "Not testable, so that nothing is said of what tracks it: count, latch,", "(3 groups: a signal needs 6).",
        "Unit 5, c: not testable not testable, not needed",
        "Whether it tracks any signal could not be tested (3 groups: a signal",
        "What unit 5 may hold could not be tested; it is not needed.",
    ):  # fmt: skip
        assert sentence in told
    for wrong in ("not tracked", "found to track", "Nothing was found", "idle"):
        assert wrong not in told


def test_an_unknown_origin_and_what_was_looked_for_stand_on_the_page(tmp_path):
    run = made_run(tmp_path)
    run.probes.attrs["origins"] = ["torch", "keras"]
    told = words_of(run, tmp_path / "out")
    assert "It is not known how this network began" in told and "(torch; keras)" in told
    assert "What was looked for" in told and "Not looked for: " in told


def test_what_a_signal_is_held_by_in_another_way_stands_beside_it(tmp_path):
    run = made_run(tmp_path, units=6)
    bent = (run.probes["unit"] == 5) & (run.probes["signal"] == "count") & (run.probes["variable"] == "c")
    run.__dict__["probes"] = run.probes.assign(curved=0.7, tracks_curved=bent)
    told = words_of(run, tmp_path / "out")
    assert "along a curve: 5" in told and "Unit 5, c: count along a curve" in told
    assert "It tracks count along a curve: effect 0.70 (R²); a straight line tells 0.05 of it." in told
