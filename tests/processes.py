"""Processes that the tests start; a command begins as a child of one process that has imported everything.

python -m tests.processes SOCKET    that process: forks for each command that it is sent, until nobody sends more
"""

import atexit
import ctypes
import functools
import gc
import importlib
import multiprocessing
import os
import pickle
import pkgutil
import runpy
import signal
import socket
import subprocess
import sys
from pathlib import Path

#: Starts functions in processes of their own; on Linux as children of one that has imported what trains networks.
FRESH = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")
FRESH.set_forkserver_preload(["pytest", "lstm_probe.runs.training"])
SUBREAPER = 36  # prctl's PR_SET_CHILD_SUBREAPER


def hear_ctrl_c() -> None:
    """Let a new process hear Ctrl-C, for `preexec_fn`: a shell that runs the tests in the background has it ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Command(subprocess.Popen):
    """`python -m lstm_probe ARGUMENTS ...`, begun and gone on with as any program, and two seconds cheaper on Linux.

    Nothing but the imports has happened in the process that it is forked from, and they are not checked as those of
    the tests are; so it is not for tests of how a program starts. All have the same order of sets, so what must not
    depend on the process is compared with what that of the tests makes. It hears Ctrl-C. Lines are 200 columns wide,
    which the imports settle. `preexec_fn` is called with all imported, and has to be one that can be pickled.
    """

    def __init__(self, *arguments: str, module: str = "lstm_probe", **how) -> None:
        how = {"env": {**os.environ, "COLUMNS": "200"}, "preexec_fn": hear_ctrl_c} | how
        super().__init__([sys.executable, "-m", module, *arguments], **how)

    if sys.platform == "linux":

        def _execute_child(self, args, executable, preexec_fn, close_fds, pass_fds, cwd, env, *rest) -> None:
            streams, (start_new_session, _) = rest[3:9], rest[-2:]
            given = [usual if stream == -1 else stream for usual, stream in enumerate((streams[0], *streams[3::2]))]
            wanted = args[2:], preexec_fn, str(Path(cwd or ".").absolute()), env, start_new_session
            self.pid = forked(pickle.dumps(wanted), given)
            self._child_created = True
            self._close_pipe_fds(*streams)


def run(*arguments: str, timeout: float | None = None, **how) -> subprocess.CompletedProcess:
    """Run a command to its end; return its exit code and what it said."""
    how = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | how
    with Command(*arguments, **how) as process:
        said = process.communicate(timeout=timeout)
    return subprocess.CompletedProcess(process.args, process.returncode, *said)


@functools.cache
def channel() -> socket.socket:
    """Begin the process that forks; return what leads there."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with its:
        own = [sys.executable, "-m", "tests.processes", str(its.fileno())]
        process = subprocess.Popen(own, pass_fds=[its.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   start_new_session=True, env={**os.environ, "COLUMNS": "200"},
                                   cwd=Path(__file__).parents[1])  # fmt: skip
    atexit.register(process.wait)
    atexit.register(ours.close)
    return ours


def forked(wanted: bytes, streams: list[int]) -> int:
    """Have a command begun with these streams; return its number, which is that of a child of this process.

    For a moment this process takes in the children of its children that end, and that one begins so.
    """
    ctypes.CDLL(None).prctl(SUBREAPER, 1)
    try:
        socket.send_fds(channel(), [wanted], streams)
        return int(channel().recv(100))
    finally:
        ctypes.CDLL(None).prctl(SUBREAPER, 0)


def import_all() -> None:
    """Import what commands import when they need it, and what Hydra finds of its plugins."""
    import lstm_probe

    for module in pkgutil.walk_packages(lstm_probe.__path__, "lstm_probe."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    from hydra.core.plugins import Plugins

    Plugins.instance()
    gc.collect()
    gc.freeze()


def serve(own: socket.socket) -> None:
    """Fork for each command that is wanted; this returns in the process in which one has ended, too."""
    import_all()
    while (message := socket.recv_fds(own, 1 << 20, 3))[0]:
        wanted, streams, *_ = message
        reading, writing = os.pipe()
        if not (between := os.fork()):
            if number := os.fork():
                os.write(writing, str(number).encode())
                os._exit(0)  # what it began is a child of the tests' from now on
            for descriptor, stream in enumerate(streams):
                os.dup2(stream, descriptor)
            for descriptor in (own.detach(), reading, writing, *streams):
                os.close(descriptor)
            return begin(*pickle.loads(wanted))
        os.waitpid(between, 0)
        own.send(os.read(reading, 100))
        for descriptor in (reading, writing, *streams):
            os.close(descriptor)
    return None


def begin(command, before, folder, environment, new_session) -> None:
    """Be the process of a command."""
    module, *arguments = command
    if new_session:
        os.setsid()
    sys.stdin, sys.stdout = os.fdopen(0, closefd=False), os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[0], sys.argv[1:] = folder, arguments
    before()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
