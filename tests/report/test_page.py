"""The page: self-contained, escaped, whole; one run's answer, or how many units are needed."""

import base64
import io
import re
from html.parser import HTMLParser

import pytest
from PIL import Image

from lstm_probe.report import drawing, write_report, write_run_report
from lstm_probe.runs.run import Run
from tests.figures.made import made_run


class Reader(HTMLParser):
    """Collects the text, the addresses and the tags of a page, and checks that tags are closed in order."""

    VOID = frozenset({"meta", "img", "br", "link", "input"})

    def __init__(self, text):
        super().__init__()
        self.text, self.addresses, self.open, self.tags = "", [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "srcset", "action", "data")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def read(path):
    return Reader(path.read_text())


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
        "uses 5 of its 6",
        "unit 5.",
        "How",
    ]
    places = [words.index(word) for word in order]
    assert places == sorted(places)
    for name in ("units", "traces", "learning"):
        for suffix in ("svg", "png"):
            assert (run.path / "figures" / f"{name}.{suffix}").stat().st_size > 1000
    for address in reader.addresses:
        assert address.startswith("data:image/") or (run.path / address).is_file()
    assert not {"script", "link", "iframe", "object"} & set(reader.tags)
    assert [file.name for file in run.path.glob(".*")] == []


def test_names_are_escaped(tmp_path):
    run = made_run(tmp_path, note="<script>alert(1)</script>")
    run.info["task"] = "<b>&"
    text = write_run_report(run, tmp_path / "out").read_text()
    assert "<script" not in text and "<b>&" not in text and "&lt;script&gt;" in text


def test_the_page_of_several_runs_starts_with_the_units_needed(sweep_page):
    assert sweep_page.name == "index.html" and sweep_page.parent.name == "report"
    reader = read(sweep_page)
    assert "parity needs 8 units: learned with 8 in 1 of 1 run, lost with 4 or fewer in 3 of 3 runs" in reader.text
    assert reader.tags.count("details") >= 4
    assert reader.text.count("NOT LEARNED: parity (score 0.02)") == 3
    words = " ".join(reader.text.split())
    assert "tracking: what units track, over seeds" in words
    assert "count4in 2 of 20.950.95 to 0.951.0" in words  # signal, units, networks, effect, interval, units
    assert "leak2in 0 of 10.05one seed0.0" in words
    for address in reader.addresses:
        assert address.startswith("data:image/") or (sweep_page.parent / address).is_file()
    assert (sweep_page.parent / "figures" / "capacity.png").is_file()


def test_the_page_of_one_run_is_that_runs_answer(one_run_page):
    text = read(one_run_page).text
    assert "Which unit remembers what" in text and "How many units are needed" not in text


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
