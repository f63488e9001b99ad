"""What the shell offers at TAB: commands, keys, and the words that go with them."""

import os

import pytest

from lstm_probe.cli import completion
from lstm_probe.cli.config import SCHEMAS, keys_of

PROBE = [key for key, _ in keys_of(SCHEMAS["train"]) if key.startswith("probe.")]


@pytest.mark.parametrize(
    ("line", "answer"),
    [("lstm-probe tr", ["train", "truth"]), ("lstm-probe ", list(SCHEMAS)), ("lstm-probe train un", ["units="]),
     ("lstm-probe train task=tr", ["task=tracking"]), ("lstm-probe report ru", ["runs="]),
     ("lstm-probe train re", []), ("lstm-probe nothing x", []), ("lstm-probe help tra", ["train"]),
     ("lstm-probe train --help un", ["units"]), ("lstm-probe help train prob", ["probe", *PROBE]),
     ("lstm-probe train --mul", ["--multirun"])],
)  # fmt: skip
def test_completion(line, answer, monkeypatch, capsys):
    monkeypatch.setenv("COMP_LINE", line)
    assert completion.complete(["query=bash"]) == 0
    assert capsys.readouterr().out.split() == answer
    assert "HYDRA_FULL_ERROR" not in os.environ
