#!/usr/bin/env python
"""A real Slurm of one node on this machine, to try sweeps on a cluster without having one.

    python scripts/slurm_local.py start FOLDER       prints what to set: SLURM_CONF
    python scripts/slurm_local.py stop FOLDER

It needs to be root, and Debian's packages slurm-wlm and munge. All that it makes lies in FOLDER, its own munged among
it, so that several can run beside each other and beside the machine's own. It keeps no accounting: sacct answers with
an error. As on a cluster, what is queued again waits two minutes, or for `scontrol update jobid=<id> starttime=now`.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "scancel", "sinfo")
CPUS = 2
PATIENCE = 30.0  # seconds until a daemon is there, or gone

CONFIGURATION = """\
ClusterName=local
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
ProctrackType=proctrack/pgid
KillWait=1
TaskPlugin=task/none
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=batch_sched_delay=0,sched_interval=1
ReturnToService=2
JobAcctGatherType=jobacct_gather/none
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=2000 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> list[str]:
    """Return what is not there of what it needs."""
    places = os.environ["PATH"].split(os.pathsep)
    absent = [name for name in PROGRAMS if not any((Path(place) / name).exists() for place in (*places, "/usr/sbin"))]
    return absent + ([] if hasattr(os, "geteuid") and os.geteuid() == 0 else ["root"])


def free_ports(n: int) -> list[int]:
    """Return ports that nobody listens on."""
    sockets = [socket.socket() for _ in range(n)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def start(folder: Path) -> dict[str, str]:
    """Start a Slurm whose files are in a folder; return the environment variables that its commands need.

    Raises:
        RuntimeError: something is missing, or a daemon does not come up; its log is in the folder.
    """
    if absent := missing():
        raise RuntimeError(f"missing: {', '.join(absent)}")
    folder = folder.absolute()
    for name in (".", "state", "spool"):
        (folder / name).mkdir(mode=0o755, parents=True, exist_ok=True)
    host = socket.gethostname().partition(".")[0]
    configuration = folder / "slurm.conf"
    configuration.write_text(CONFIGURATION.format(folder=folder, host=host, ports=free_ports(2), cpus=CPUS))
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    own = {"SLURM_CONF": str(configuration)}
    environment = {**os.environ, **own, "PATH": f"{os.environ['PATH']}{os.pathsep}/usr/sbin"}
    munged = ["munged", "--force", f"--key-file={key}", f"--socket={folder / 'munge.socket'}",
              f"--pid-file={folder / 'munged.pid'}", f"--log-file={folder / 'munged.log'}",
              f"--seed-file={folder / 'munged.seed'}"]  # fmt: skip
    for command in (munged, ["slurmctld"], ["slurmd", "-N", host]):
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode:
            stop(folder)
            raise RuntimeError(f"{command[0]}: {done.stderr.strip()}")
    until = time.monotonic() + PATIENCE
    while (
        "idle"
        not in subprocess.run(["sinfo", "-h", "-o", "%T"], env=environment, capture_output=True, text=True).stdout
    ):
        if time.monotonic() > until:
            stop(folder)
            raise RuntimeError(f"the node does not come up: {folder}/slurmd.log, {folder}/slurmctld.log")
        time.sleep(0.2)
    return own


def _said(command: list[str], environment: dict[str, str]) -> str:
    """Return what a command prints; nothing where it does not answer."""
    with suppress(OSError, subprocess.TimeoutExpired):
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=10).stdout
    return ""


def stop(folder: Path) -> None:
    """End the daemons that were started in a folder, and the jobs that still run there."""
    processes = []
    for name in ("slurmd", "slurmctld", "munged"):
        with suppress(FileNotFoundError, ValueError):
            processes.append(int((folder / f"{name}.pid").read_text()))
    if (folder / "slurm.conf").exists() and processes:
        environment = {**os.environ, "SLURM_CONF": str(folder.absolute() / "slurm.conf")}
        _said(["scancel", "--me"], environment)
        until = time.monotonic() + PATIENCE
        while _said(["squeue", "--noheader"], environment) and time.monotonic() < until:
            time.sleep(0.2)
    for kind in (signal.SIGTERM, signal.SIGKILL):
        for process in processes:
            with suppress(ProcessLookupError):
                os.kill(process, kind)
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and any(Path(f"/proc/{process}").exists() for process in processes):
            time.sleep(0.1)


def main() -> int:
    """Read the command line and do what it says."""
    if len(sys.argv) != 3 or sys.argv[1] not in ("start", "stop"):
        print(__doc__)
        return 2
    if sys.argv[1] == "stop":
        stop(Path(sys.argv[2]))
        return 0
    try:
        own = start(Path(sys.argv[2]))
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    print(*(f"export {name}={value}" for name, value in own.items()), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
