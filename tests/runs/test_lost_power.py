"""A machine that dies at any moment: what was not written through to the disk is lost, a run is whole or not there."""

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lstm_probe.core.files import mend_folder
from lstm_probe.runs.run import load_run
from lstm_probe.runs.store import claim, publish
from tests.runs.cut import FEW, train


@dataclass
class Disk:
    """What a disk would hold if the power failed: contents that were synced, names as of their folder's last sync.

    With `early` names come to the disk at once, as a journal may have it, but contents only when they are synced.
    """

    root: Path
    early: bool
    contents: dict[int, bytes] = field(default_factory=dict)
    names: dict[int, dict[str, tuple[int, bool]]] = field(default_factory=dict)

    def synced(self, path: Path) -> None:
        """Take in what is written through."""
        if path.is_dir():
            self.names[path.stat().st_ino] = self._entries(path)
        else:
            self.contents[path.stat().st_ino] = path.read_bytes()

    def _entries(self, folder: Path) -> dict[str, tuple[int, bool]]:
        return {own.name: (own.stat().st_ino, own.is_dir()) for own in folder.iterdir()}

    def after_power_failed(self, place: Path) -> Path:
        """Make what would be there when the machine is on again."""
        folders = {path.stat().st_ino: path for path in (self.root, *self.root.rglob("*")) if path.is_dir()}

        def put(number: int, into: Path) -> None:
            into.mkdir()
            now = folders.get(number)
            entries = self._entries(now) if self.early and now is not None else self.names.get(number, {})
            for name, (own, is_folder) in entries.items():
                if is_folder:
                    put(own, into / name)
                else:
                    (into / name).write_bytes(self.contents.get(own, b""))

        put(self.root.stat().st_ino, place)
        return place


@pytest.fixture
def moments(tmp_path, monkeypatch):
    """Go through what would be there after each call that changes the disk."""

    def watch(root, early, look):
        disk, sync, rename, replace = Disk(root, early), os.fsync, os.rename, os.replace
        for path in (*root.rglob("*"), root):
            disk.synced(path)

        place = tmp_path / "after"

        def looked():
            if not place.exists():  # else it is what looks that changes something
                look(disk.after_power_failed(place))
                shutil.rmtree(place)

        def watched_sync(descriptor):
            sync(descriptor)
            path = Path(f"/proc/self/fd/{descriptor}").resolve()
            if path.exists() and path.is_relative_to(root):
                disk.synced(path)
                looked()

        def watched(call):
            def renamed(*arguments, **keywords):
                call(*arguments, **keywords)
                looked()

            return renamed

        monkeypatch.setattr(os, "fsync", watched_sync)
        monkeypatch.setattr(os, "rename", watched(rename))
        monkeypatch.setattr(os, "replace", watched(replace))

    return watch


def found(place):
    """Return the runs that stand in a store, each compared with what was written."""
    runs = []
    for path in place.glob("runs/*/.*.old"):
        mend_folder(path.with_name(path.name[1 : -len(".old")].removesuffix(".analyses")))
    for path in place.glob("runs/*/[!.]*"):
        run = load_run(path)
        run.check()
        runs.append(run)
    return runs


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="asks Linux which file a descriptor is")
@pytest.mark.parametrize("early", [False, True])
def test_when_the_power_fails_a_run_is_whole_or_not_there(tmp_path, moments, early):
    root, seen = tmp_path / "store", []
    (root / "runs" / "flipflop").mkdir(parents=True)
    moments(root, early, lambda place: seen.append(len(found(place))))
    run = train(root, FEW)
    assert seen == sorted(seen) and seen[-1] == 1 and seen.count(0) > 10
    run.check()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="asks Linux which file a descriptor is")
@pytest.mark.parametrize("early", [False, True])
def test_when_the_power_fails_while_one_is_exchanged_it_is_the_old_or_the_new(tmp_path, moments, monkeypatch, early):
    root, seen = tmp_path / "store", []
    old = train(root, {"probe": ["probes"], "ablate": [], "dynamics": []})
    moments(root, early, lambda place: seen.extend(len(run.measured) for run in found(place)))
    new = train(root, FEW)
    assert set(seen) == {1, 5} and seen == sorted(seen)
    assert new.measured == tuple(name for names in FEW.values() for name in names) and old.path == new.path


def test_a_file_that_is_not_synced_would_be_seen(tmp_path, moments):
    """The test itself: a folder that is renamed without more is found half."""
    root = tmp_path / "store"
    folder = root / "runs" / "a" / "u1-s0-00000000"
    folder.parent.mkdir(parents=True)
    halves = []

    def look(place):
        halves.extend(path.read_bytes() for path in place.glob("runs/a/u1*/x"))

    moments(root, True, look)
    for through in (publish, lambda partial, place: partial.rename(place)):
        halves.clear()
        with claim(folder) as partial:
            partial.mkdir()
            (partial / "x").write_text(f"all of it, {through}")
            through(partial, folder)
        assert halves and ({*halves} == {f"all of it, {through}".encode()}) == (through is publish)
        shutil.rmtree(folder)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="asks Linux which file a descriptor is")
@pytest.mark.parametrize("early", [False, True])
def test_files_that_nobody_synced_are_on_the_disk_when_their_folder_is_in_its_place(tmp_path, moments, early):
    """As a merge writes them: one by one, without more."""
    root = tmp_path / "store"
    folder = root / "runs" / "a" / "u1-s0-00000000"
    folder.parent.mkdir(parents=True)
    seen = []
    moments(root, early, lambda place: seen.append(
        {str(path.relative_to(own)): path.read_text() for own in place.glob("runs/a/u1*") for path in own.rglob("*")
         if path.is_file()}))  # fmt: skip
    with claim(folder) as partial:
        (partial / "analyses").mkdir(parents=True)
        for name in ("x", "analyses/y"):
            (partial / name).write_text(f"all of {name}")
        publish(partial, folder)
    whole = {"x": "all of x", "analyses/y": "all of analyses/y"}
    assert seen[-1] == whole and all(one in ({}, whole) for one in seen)
