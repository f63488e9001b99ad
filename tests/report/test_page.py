"""The page: self-contained, escaped, whole; one run's answer, or how many units are needed."""

import base64
import io
import re
from html.parser import HTMLParser

import pandas as pd
import pytest
from PIL import Image

from lstm_probe.core.digests import digests_of
from lstm_probe.findings import words
from lstm_probe.report import drawing, pictures, write_report, write_run_report
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
        "What the network had to do", "Five things at once", "count ups minus downs so far (target)",
        "Learned: all 5 targets solved", "Which unit remembers what", "unit 0", "Which units are needed",
        "5 of 6 units cost something", "the memory of unit 5,", "Pictures Each row", "Tables Scores", "How it was done",
        "What the words mean",
    ]  # fmt: skip
    at = words.index("To the content")
    for word in order:
        at = words.index(f" {word}", at + 1)
    for name in ("units", "traces", "learning"):
        assert (run.path / "figures" / f"{name}.svg").stat().st_size > 1000
    for address in reader.addresses:
        assert address.startswith(("data:image/", "#")) or (run.path / address).is_file()
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
    assert words.count("NOT LEARNED: parity") == 3 and "Which unit remembers what" not in words
    assert "tracking: what units track, over seeds" in words
    cells = re.sub(r"(<[^>]*>|\s)+", " ", sweep_page.read_text())
    assert "count 4 in 2 of 2 0.95 too few seeds 1.0" in cells  # signal, units, networks, effect, interval, units
    assert "leak 2 in 0 of 1 0.05 one seed 0.0" in cells
    assert "tracking 4 score parity 0.02 too few seeds 2" in cells
    assert "tracking 8 score parity 0.99 one seed 1" in cells
    for address in reader.addresses:
        assert address.startswith(("data:image/", "#")) or (sweep_page.parent / address).is_file()


def test_each_of_several_runs_has_a_page_of_its_own(sweep, sweep_page):
    pages = [address for address in read(sweep_page).addresses if address.endswith(".html")]
    assert pages == [f"runs/tracking/{run.name}.html" for run in sweep]
    for run, page in zip(sweep, pages):
        path = sweep_page.parent / page
        reader = read(path)
        assert "Which unit remembers what" in reader.text and run.name in reader.text
        assert "../../index.html" in reader.addresses
        for address in reader.addresses:
            assert address.startswith(("data:image/", "#")) or (path.parent / address).is_file()


def test_the_page_that_was_written_with_a_run_is_linked_where_it_is_as_it_was(tmp_path):
    runs = [made_run(tmp_path, seed=seed) for seed in (0, 1)]
    for run in runs:
        write_run_report(run, run.path)
        run.info["files"] = digests_of(run.path, "run.json")
    (runs[1].path / "report.html").write_text("<p>something else")
    index = write_report(runs, tmp_path)
    own, made = [address for address in read(index).addresses if address.endswith(".html")]
    assert (index.parent / own).resolve() == runs[0].path / "report.html"
    assert made == f"runs/tracking/{runs[1].name}.html" and runs[1].name in (index.parent / made).read_text()
    assert [path.name for path in (index.parent / "runs").rglob("*.html")] == [f"{runs[1].name}.html"]


@pytest.mark.parametrize("pages", [0, 1])
def test_so_many_pages_are_drawn_and_the_others_are_said_to_be_missing(tmp_path, pages):
    runs = [made_run(tmp_path, seed=seed) for seed in (0, 1)]
    index = write_report(runs, tmp_path, pages=pages)
    page = read(index)
    assert len([address for address in page.addresses if address.endswith(".html")]) == pages
    text = " ".join(page.text.split())
    assert ("2 of them have no page" if pages == 0 else "1 of them has no page") in text and "pages=100" in text
    assert all(f"seed {run.info['seed']}" in text for run in runs)


def test_what_differs_between_runs_and_what_was_warned_of_stands_on_their_page(tmp_path):
    runs = [made_run(tmp_path, 2, seed, lr=0.1 * (1 + seed)) for seed in (0, 1)]
    runs[1].info["warnings"] = ["few <b>"]
    text = " ".join(read(write_report(runs, tmp_path)).text.split())
    assert "lr0.1 (1), 0.2 (1)" in text and "few <b> (1 of 2 runs)" in text
    page = next((tmp_path / "report" / "runs").glob(f"*/{runs[1].name}.html"))
    assert "1 warning was logged while it was made" in " ".join(read(page).text.split())


def test_the_page_of_several_runs_has_its_picture(sweep_page):
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


def test_pictures_that_are_large_as_svg_go_in_as_the_same_pixels(tmp_path, monkeypatch):
    run = made_run(tmp_path)
    small = drawing.run_figures(run, tmp_path / "small")
    assert not [*(tmp_path / "small").glob("*.png")]
    shown = pictures.pictures({name: pictures.read_drawn(path) for name, path in small.items()})
    assert all(one["uri"].startswith("data:image/svg+xml;") for one in shown.values())
    monkeypatch.setattr(pictures, "LARGEST_SVG", 1000)
    large = drawing.run_figures(run, tmp_path / "large")
    for name, one in pictures.pictures({name: pictures.read_drawn(path) for name, path in large.items()}).items():
        kind, content = one["uri"].split(";base64,")
        assert kind == "data:image/webp"
        assert (one["width"], one["height"]) == pytest.approx((shown[name]["width"], shown[name]["height"]), abs=1)
        packed = Image.open(io.BytesIO(base64.b64decode(content))).convert("RGB")
        assert packed.tobytes() == Image.open(f"{large[name]}.png").convert("RGB").tobytes()


def test_stored_pictures_are_shown_as_images_alone_and_only_as_they_were_written(tmp_path):
    runs = [made_run(tmp_path, seed=seed) for seed in (0, 1)]
    for run in runs:
        write_run_report(run, run.path).unlink()
    evil = b"<svg xmlns='http://www.w3.org/2000/svg' width='9pt' height='9pt'><script>evil</script></svg>"
    (runs[0].path / "figures" / "units.svg").write_bytes(evil)
    for run in runs:
        run.info["files"] = digests_of(run.path, "run.json")
    (runs[1].path / "figures" / "units.svg").write_bytes(evil)  # after its digest was written
    folder = write_report(runs, tmp_path).parent
    written = [file for file in folder.rglob("*") if file.is_file()]
    assert not [file for file in written if b"evil" in file.read_bytes()]
    pages = [(folder / "runs" / "tracking" / f"{run.name}.html").read_text() for run in runs]
    inside = base64.b64encode(evil).decode()
    assert f'<img src="data:image/svg+xml;base64,{inside}"' in pages[0] and inside not in pages[1]
    assert f"lstm-probe figures run={runs[0].path}" in pages[0] and "figures run=" not in pages[1]
    assert {path.parent.name for path in folder.glob("figures/*/*/*.svg")} == {runs[1].name}


def test_a_run_that_cannot_be_shown_ends_the_report_before_anything_is_drawn(sweep, sweep_page, monkeypatch):
    before, drawn = sweep_page.read_text(), []
    monkeypatch.setattr("lstm_probe.report.sweep_page._write_one", lambda *given, **named: drawn.append(given))
    broken = Run(sweep[1].path, dict(sweep[1].info))
    broken.__dict__.update(sweep[1].__dict__, populations=pd.DataFrame())
    with pytest.raises(KeyError, match="variable"):
        write_report([sweep[0], broken], sweep_page.parents[1])
    assert sweep_page.read_text() == before and drawn == []
    assert [file.name for file in sweep_page.parent.iterdir() if file.name.startswith(".")] == []


def words_of(run, folder):
    """A page's text, on one line."""
    return " ".join(read(write_run_report(run, folder)).text.split())


def test_what_was_warned_of_while_a_run_was_made_stands_on_its_page(tmp_path):
    run = made_run(tmp_path)
    quiet = words_of(run, tmp_path / "quiet")
    assert "Warnings (0) Nothing was warned of while it was made." in quiet and "logged while it was made" not in quiet
    run.info["warnings"] = ["sequences look dependent: <b>groups</b>", "untrained=5: too few"]
    told = words_of(run, tmp_path / "warned")
    assert "2 warnings were logged while it was made: what they say." in told
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
    told = words_of(run, tmp_path / "out").partition("How it was done")[0]
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
    assert told.count("in whichever of 2 ways they began.") == 2  # the rule, and what was corrected for
    assert "It is not known how this network began" in told and "(torch; keras)" in told
    assert "What was looked for" in told and "Not looked for: " in told


def test_what_a_signal_is_held_by_in_another_way_stands_beside_it(tmp_path):
    run = made_run(tmp_path, units=6)
    bent = (run.probes["unit"] == 5) & (run.probes["signal"] == "count") & (run.probes["variable"] == "c")
    run.__dict__["probes"] = run.probes.assign(curved=0.7, tracks_curved=bent)
    told = words_of(run, tmp_path / "out")
    assert "along a curve: 5" in told and "Unit 5, c: count along a curve" in told
    assert "It tracks count along a curve: effect 0.70 (R²); a straight line tells 0.05 of it." in told
