"""A run comes to its place in one step, so that a reader never meets a half one."""

from lstm_probe.core import files
from lstm_probe.runs.store import claim, publish
from tests.runs.test_runs import fake_run, place


def inodes(folder):
    """What stands where, by the file system's own numbers: what is renamed keeps them, a copy has others."""
    return {str(path.relative_to(folder)): path.stat().st_ino for path in (folder, *folder.rglob("*"))}


def test_a_run_is_renamed_into_its_place_not_copied(tmp_path):
    folder = place(tmp_path)
    for again in (False, True):
        with claim(folder) as partial:
            made = inodes(fake_run(partial))
            publish(partial, folder)
            assert inodes(folder) == made and not partial.exists(), again


def test_the_old_run_goes_only_when_the_new_one_has_come(tmp_path, monkeypatch):
    folder = fake_run(place(tmp_path))
    seen, remove = [], files.shutil.rmtree

    def looked(path, **keywords):
        remove(path, **keywords)
        seen.append((folder / "run.json").exists())

    monkeypatch.setattr(files.shutil, "rmtree", looked)
    with claim(folder) as partial:
        fake_run(partial)
        publish(partial, folder)
    assert seen and all(seen)
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
