"""An analysis of a run that another process makes again, or removes, meanwhile: one sentence, and nothing is left."""

import shutil

import pytest

from lstm_probe.cli import main
from lstm_probe.runs import again
from lstm_probe.runs.run import load_run
from tests.processes import run as run_process

TINY = ["task=flipflop", "task.bits=2", "task.length=12", "steps=20", "stop_when_solved=false", "test_sequences=32",
        "probe.sequences=30", "probe.permutations=19", "probe.bootstrap=10", "probe.untrained=1", "probe.rotations=19",
        "ablate.sequences=20", "ablate.bootstrap=10", "units=2", "measure=light"]  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    outputs = tmp_path_factory.mktemp("outputs")
    assert main(["train", *TINY, f"outputs={outputs}"]) == 0
    return outputs


@pytest.fixture
def made(finished, tmp_path):
    """The folder of a run of one's own."""
    shutil.copytree(finished / "runs", tmp_path / "runs")
    (folder,) = (tmp_path / "runs" / "flipflop").iterdir()
    return folder


def made_again(folder):
    outputs = folder.parents[2]
    assert run_process("train", *TINY, f"outputs={outputs}", "force=true", cwd=outputs).returncode == 0


def analysed_first(folder):
    """Another process makes it again and has begun an analysis of the new one."""
    made_again(folder)
    (folder / "analyses" / "another").mkdir(parents=True)


SENTENCES = {
    made_again: "made it again meanwhile, so nothing of this analysis is kept; the same command makes it of the run "
    "that is there now.",
    shutil.rmtree: "removed it meanwhile, so nothing of this analysis is kept.",
}
SENTENCES[analysed_first] = SENTENCES[made_again]
ONCE = ["probe.analyses=[tuning]", "probe.lags=[1]"]


@pytest.mark.parametrize(("happens", "when", "several"), [
    (made_again, "while it is measured", False), (made_again, "while it is measured", True),
    (made_again, "before it is drawn", False), (analysed_first, "while it is measured", False),
    (shutil.rmtree, "while it is measured", False), (shutil.rmtree, "before it is drawn", False),
])  # fmt: skip
def test_it_ends_in_one_sentence(made, happens, when, several, monkeypatch, capsys):
    measure, publish = again.measure, again.publish

    def overtaken(subject, names):
        tables = measure(subject, names)
        happens(made)
        return tables

    def published(partial, folder):
        publish(partial, folder)
        happens(made)

    pattern = f"run={made.parent}/u*" if several else f"run={made}"
    words = ["probe", pattern, *ONCE]
    if when == "while it is measured":
        monkeypatch.setattr(again, "measure", overtaken)
    else:
        monkeypatch.setattr(again, "publish", published)
        words += ["card=0"]
    if several:
        shutil.copytree(made, made.with_name(made.name + "x"))
    capsys.readouterr()
    code = main(words)
    shown = capsys.readouterr()
    told = f"run={made}: another process {SENTENCES[happens]}"
    assert code == 1 and told in [line for line in shown.err.splitlines() if line]
    assert "Traceback" not in shown.err and "Error" not in shown.err
    assert not list(made.parents[2].glob("logs/*")) and not list(made.parent.rglob(".*"))
    if happens is made_again:
        ours = {"run.json", *load_run(made).files}
        assert {str(path.relative_to(made)) for path in made.rglob("*") if path.is_file()} == ours
        load_run(made).check()
        monkeypatch.undo()
        assert main(["probe", f"run={made}", *ONCE]) == 0
        (folder,) = (made / "analyses").iterdir()
        assert {path.name for path in folder.iterdir()} == {"analysis.json", "tuning.parquet"}


def test_what_is_added_to_a_run_meanwhile_disturbs_no_analysis(made, monkeypatch, capsys):
    measure = again.measure

    def beside(subject, names):
        tables = measure(subject, names)
        words = ("train", *TINY[:-1], f"outputs={made.parents[2]}", "measure=full")
        assert run_process(*words, cwd=made.parents[2]).returncode == 0
        return tables

    monkeypatch.setattr(again, "measure", beside)
    assert main(["probe", f"run={made}", *ONCE]) == 0
    assert "codes" in load_run(made).measured
    assert [path.name.split("-")[0] for path in (made / "analyses").iterdir()] == ["probe"]
