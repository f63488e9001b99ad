"""Small HDF5 files that claim much: one short error, and never the memory or the time that they ask for."""

from pathlib import Path

import numpy as np
import pytest

from lstm_probe.formats import load_weights
from tests.formats.read.limits import few_bytes_and_seconds, refused  # noqa: F401  a fixture of every test here

h5py = pytest.importorskip("h5py")


def keras_file(path, change=None):
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        place = file.create_group("layers/lstm/cell/vars")
        for k, shape in enumerate([(3, 16), (4, 16), (16,)]):
            place[str(k)] = rng.normal(size=shape).astype("f4")
        if change is not None:
            change(file, place)
    return path


def replaced(name, shape, **more):
    def change(file, place):
        del place[name]
        place.create_dataset(name, shape, "f4", **more)

    return change


def cycle(file, place):
    file["layers/again"] = file["layers"]


def doubling(file, place):
    below = place
    for k in range(60):
        above = file.create_group(f"level{k}")
        above["a"] = above["b"] = below
        below = above


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (replaced("1", (9000, 36000)), "cell/vars/1 takes 1.3 GB"),
        (replaced("1", (2**31, 2**31), chunks=(1, 4096)), "takes 18446744073.7 GB|takes .* TB"),
        (replaced("0", (3, 10**8), chunks=(3, 4096), compression="gzip"), "takes 1.2 GB"),
        (replaced("2", (16,), external=[("other", 0, 64)]), "keeps its data in another file"),
        (lambda file, place: place.__setitem__("3", h5py.SoftLink("/layers")), "link to elsewhere"),
        (lambda file, place: place.__setitem__("3", place["0"]), "the same object as another"),
    ],
)  # fmt: skip
def test_what_an_hdf5_file_claims(tmp_path, change, match):
    refused(keras_file(tmp_path / "m.weights.h5", change), match)


@pytest.mark.parametrize("change", [None, cycle, doubling])
def test_links_in_a_circle_come_to_an_end(tmp_path, change):
    path = keras_file(tmp_path / "m.weights.h5", change)
    if change is None:
        assert load_weights(path).lstm.hidden_size == 4
    else:
        refused(path, "the same object as another of the file's: not read")


HANGS = sorted(Path(__file__).parent.glob("data/*.h5"))


@pytest.mark.parametrize("path", HANGS, ids=lambda path: path.stem)
def test_files_that_hang_inside_libhdf5(path):
    assert HANGS
    refused(path, "is damaged, or made to be slow: not read within 2 s|fails on it")


def test_a_weights_file_that_fits_needs_the_optimiser_least_of_all(tmp_path):
    def change(file, place):
        file.create_group("optimizer/vars")["0"] = h5py.ExternalLink("nowhere", "/")
        file["optimizer/vars"].create_dataset("1", (10**6, 10**6), "f4", chunks=(1, 4096))

    assert load_weights(keras_file(tmp_path / "m.weights.h5", change)).lstm.hidden_size == 4
