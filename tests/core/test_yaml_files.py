"""YAML whose aliases multiply, that is deep, long, or no file."""

import os

import pytest
import yaml

from lstm_probe.core.errors import InputError
from lstm_probe.core.yaml_files import load_yaml, load_yaml_file

LAUGHS = "a0: &a0 [1, 2]\n" + "".join(f"a{k}: &a{k} [*a{k - 1}, *a{k - 1}]\n" for k in range(1, 60))
MERGES = "a0: &a0 {k: 1}\n" + "".join(f"a{k}: &a{k} {{<<: [*a{k - 1}, *a{k - 1}]}}\n" for k in range(1, 60))


@pytest.mark.parametrize("text", [LAUGHS, MERGES, "a: &a [*a]", "a: &a {b: *a}"])
def test_aliases_that_multiply(text):
    with pytest.raises(ValueError, match="aliases stand for one another over and over"):
        load_yaml(text)


@pytest.mark.parametrize("text", ["a: &a [1, 2]\nb: *a\nc: {<<: {d: 1}, e: 2.5}", "", "- 1\n- {x: null}"])
def test_other_yaml_is_read_as_yaml_reads_it(text):
    assert load_yaml(text) == yaml.safe_load(text)


def test_long_and_deep_texts_and_pipes(tmp_path):
    with pytest.raises(ValueError, match="at most"):
        load_yaml("a: " + "b" * 300_000)
    with pytest.raises(RecursionError):
        load_yaml("[" * 5000)
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(InputError, match="is a pipe or a device"):
        load_yaml_file(tmp_path / "pipe.yaml")
