"""Pages of runs that are not as one would like: hostile names, missing tables, NaN, tasks that are not at hand."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from lstm_probe.core.columns import PROBE_COLUMNS
from lstm_probe.core.signal import Signal
from lstm_probe.report import write_report, write_run_report
from lstm_probe.tasks.base import Task
from tests.figures.made import made_run
from tests.report.test_page import read

HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "\"'><script>alert(2)</script>",
    "🙂{{ 7 * 7 }}",
    "שלום",
    "a&amp;b\u202e\x07",
)


class Outline(HTMLParser):
    """A page's headings, landmarks and images."""

    def __init__(self, text):
        super().__init__()
        self.levels, self.landmarks, self.alts, self.handlers, self.ids = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.handlers += [name for name in given if name.startswith("on") or name == "style"]
        self.ids += [given["id"]] if "id" in given else []
        if re.fullmatch("h[1-6]", tag):
            self.levels.append(int(tag[1]))
        if tag in ("header", "nav", "main", "footer"):
            self.landmarks.append(tag)
        if tag == "img":
            self.alts.append(given["alt"])


def outline(page):
    return Outline(page.read_text())


def text_of(page):
    return " ".join(read(page).text.split())


def hostile_run(folder):
    """A run in which every name that a page shows is hostile."""
    run = made_run(folder, units=4, scores={"parity": 0.2}, **{HOSTILE[0]: HOSTILE[1]})
    names = dict(zip(("count", "latch", "parity", "leak", "since"), HOSTILE))
    for table in ("probes", "ablations", "populations"):
        frame = run.__dict__[table]
        columns = {"signal", "target"} & set(frame)
        run.__dict__[table] = frame.assign(**{name: frame[name].replace(names) for name in columns})
    run.__dict__["history"] = run.history.assign(target=run.history["target"].replace(names))
    for old, new in names.items():
        run.examples[f"signal.{new}"] = run.examples.pop(f"signal.{old}")
        for key in ("scores", "learned"):
            run.info[key][new] = run.info[key].pop(old)
    run.info["warnings"] = [*HOSTILE]
    run.info["source"] = HOSTILE[1]
    run.config[HOSTILE[2]] = HOSTILE[0]
    run.__dict__["task"] = _Strange(run.task, names)
    return run


class _Strange(Task):
    """A task of which every word is hostile."""

    summary, source = HOSTILE[1], HOSTILE[0]
    input_names, targets = HOSTILE, ()

    def __init__(self, task, names):
        self.task, self.names = task, names

    def draw(self, n, rng):
        raise NotImplementedError

    def sample(self, n, seed):
        batch = self.task.sample(n, seed)
        signals = {new: Signal(new, batch.signals[old].values, meaning=new) for old, new in self.names.items()}
        return type(batch)(batch.inputs, {}, (), batch.lengths, signals)


@pytest.mark.parametrize("several", [False, True])
def test_hostile_names_are_never_markup(tmp_path, several):
    run = hostile_run(tmp_path)
    page = write_run_report(run, tmp_path / "out")
    pages = [page]
    if several:
        pages = [write_report([run, made_run(tmp_path, 2)], tmp_path)]
        assert len([*(pages[0].parent / "runs").rglob("*.html")]) == 2
        pages += (pages[0].parent / "runs").rglob(f"{run.name}.html")
    for page in pages:
        text, shown = page.read_text(), outline(page)
        assert shown.handlers == []
        for name in HOSTILE[:2]:
            assert name not in text
        assert "{{ 7 * 7 }}" in text and "49" not in re.findall(r"🙂(..)", text)
        assert "\u202e" not in text and "\x07" not in text
        assert "<bdi>שלום</bdi>" in text
        read(page)  # tags are closed in order
        assert "<img src=x onerror=alert(1)>" in read(page).text


@pytest.mark.parametrize("page", ["one_run_page", "sweep_page"])
def test_landmarks_headings_and_links(request, page):
    path = request.getfixturevalue(page)
    shown = outline(path)
    assert shown.landmarks == ["header", "nav", "main", "footer"]
    assert shown.levels[0] == 1 and shown.levels.count(1) == 1
    assert all(b <= a + 1 for a, b in zip(shown.levels, shown.levels[1:]))
    assert len(shown.ids) == len(set(shown.ids))
    inner = [address[1:] for address in read(path).addresses if address.startswith("#")]
    assert set(inner) <= set(shown.ids) and len(inner) > 4


def test_alternative_texts_say_what_is_seen(tmp_path):
    run = made_run(tmp_path, units=6)
    units, tracked, traces, learning = outline(write_run_report(run, tmp_path / "out")).alts
    assert units.startswith("Unit 0 tells count best (0.95); unit 1 tells latch best (0.95);")
    assert "None was found to track ticks and step. Clamped alone, unit 0 costs count 0.80," in units
    assert tracked.startswith("Over all signals and targets: rank correlation over 6 units ")
    assert "needed alone and tracking a signal: 0–4; needed alone, with nothing found: none." in tracked
    assert "count: unit 0 goes with it by 1.00;" in traces and "ticks: unit 0 " in traces
    assert learning.startswith("After 300 updates. count: from 0.10 to 0.99, nine tenths of that from update 300 on;")


def test_alternative_texts_say_what_could_not_be_tested(tmp_path):
    run = made_run(tmp_path, units=6)
    whole = run.probes
    run.__dict__["probes"] = whole.assign(tracks=False, testable=False)
    units, tracked, traces, _ = outline(write_run_report(run, tmp_path / "none")).alts
    assert units.startswith("No signal could be tested; the most is told by unit 0 of count, effect 0.95. Clamped ")
    assert "Units needed alone, not testable: 0–4." in tracked
    assert "ticks: unit 0 " in traces and traces.count("could not be tested") == 6 and "1 more" in traces
    assert not any("found" in alt for alt in (units, tracked, traces))
    run.__dict__["probes"] = whole.assign(testable=whole["signal"] != "step")
    units, *_ = outline(write_run_report(run, tmp_path / "some")).alts
    assert "None was found to track ticks. Whether one tracks step could not be tested. Clamped" in units


def test_a_task_that_is_not_at_hand_says_what_is_known(tmp_path):
    run = made_run(tmp_path)
    run.config["task"] = {"name": "table", "path": str(tmp_path / "gone.csv"), "content": "0" * 64}
    told = text_of(write_run_report(run, tmp_path / "out"))
    assert "The task tracking is not at hand, so that it cannot say what it asks" in told
    assert "count continuous; not said what it means (target)" in told
    assert "step continuous; not said what it means (nuisance)" in told and "Which unit remembers what" in told


def test_targets_that_no_signal_explains_are_told_by_what_they_are(tmp_path):
    run = made_run(tmp_path)
    run.config["task"] = {"name": "dyck1"}
    told = text_of(write_run_report(run, tmp_path / "out"))
    assert "legal a yes or no to each of 2 questions; scored by the share of sequences that are right" in told
    assert "depth how many brackets are open (latent)" in told


def test_what_the_recording_was_compared_with(tmp_path):
    run = made_run(tmp_path)
    older = text_of(write_run_report(run, tmp_path / "older"))
    assert "by how much they differed was not recorded by the version that made this run" in older
    run.info["checks"] = [{"call": 0, "layer": 0, "direction": "forward", "compared": "h of every step",
                           "sequences": 512, "steps": 25600, "difference": 1.8e-6, "scale": 0.995,
                           "tolerance": 9.95e-6}]  # fmt: skip
    page = write_run_report(run, tmp_path / "newer")
    cells = re.sub(r"(<[^>]*>|\s)+", " ", page.read_text())
    assert "0 h of every step 512 25600 0.995 1.8e-06 " in cells and "not recorded by the version" not in cells


def test_runs_without_tables_without_numbers_of_one_unit_and_of_one_signal(tmp_path):
    bare = made_run(tmp_path)
    bare.info["measured"] = []
    for name in ("probes", "ablations", "populations"):
        del bare.__dict__[name]
    bare.__dict__["history"] = bare.history[:0]
    told = text_of(write_run_report(bare, tmp_path / "bare"))
    assert "Its units were not measured" in told and "There is nothing to draw" in told
    assert "No units were recorded" in told and "Nothing was tested." in told
    one = made_run(tmp_path, units=1)
    one.__dict__["probes"] = one.probes[one.probes["signal"] == "count"]
    told = text_of(write_run_report(one, tmp_path / "single"))
    assert "count: unit 0 (effect 0.95 [0.93, 0.97]), and no other unit was found." in told
    nothing = made_run(tmp_path, units=3)
    numbers = [name for name in PROBE_COLUMNS if nothing.probes[name].dtype.kind == "f" and name != "lag"]
    nothing.__dict__["probes"] = nothing.probes.assign(**dict.fromkeys(numbers, np.nan), tracks=False)
    losses = ["score_drop", "refit_drop", "ci_low", "ci_high", "refit_ci_low", "refit_ci_high", "readout_drop"]
    nothing.__dict__["ablations"] = nothing.ablations.assign(**dict.fromkeys(losses, np.nan))
    page = write_run_report(nothing, tmp_path / "nothing")
    told = text_of(page)
    assert "count: it never changes in the test sequences (or within no part that is held out, or" in told
    assert not re.search(r"(?<![A-Za-z])nan(?![A-Za-z])", page.read_text().partition("<script")[0])


def test_the_picture_of_losses_says_whether_outputs_were_brought_back_to_scale(tmp_path):
    """That they were is so where there are no intervals, too, and nothing is said of need."""
    run, words = made_run(tmp_path), "what is lost when it is clamped alone, "
    assert words + "even after the output is brought back to scale." in text_of(write_run_report(run, tmp_path))
    intervals = dict.fromkeys(("ci_low", "ci_high", "refit_ci_low", "refit_ci_high"), np.nan)
    run.__dict__["ablations"] = run.ablations.assign(needed="not measured", **intervals)
    assert words + "even after the output is brought back to scale." in text_of(write_run_report(run, tmp_path))
    run.__dict__["ablations"] = run.ablations.assign(refit_drop=np.nan)
    assert words + "as it stands." in text_of(write_run_report(run, tmp_path))
