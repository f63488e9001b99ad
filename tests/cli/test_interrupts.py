"""Ctrl-C ends a command as an interruption, even where a library swallows it."""

import os
import signal

import pytest

from lstm_probe.cli import main
from lstm_probe.cli.commands import describe


@pytest.fixture(autouse=True)
def hear_ctrl_c():
    """As in a terminal; what runs in the background may be told to ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupted_inside(_):
    """What an import does that is cut short and catches everything."""
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt:
        raise RuntimeError("half imported") from None


def test_a_swallowed_interruption_is_still_one(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(describe, "run", interrupted_inside)
    assert main(["describe"]) == 130
    assert "Interrupted" in capsys.readouterr().err and not list(tmp_path.iterdir())
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("before", [False, True])
def test_an_error_after_an_earlier_interruption_is_an_error(tmp_path, monkeypatch, before):
    def broken(_):
        raise RuntimeError("a bug")

    monkeypatch.chdir(tmp_path)
    if before:
        monkeypatch.setattr(describe, "run", interrupted_inside)
        assert main(["describe"]) == 130
    monkeypatch.setattr(describe, "run", broken)
    assert main(["describe"]) == 1
