"""A place that one process holds at a time, on whatever machine: of several that share a disk, one makes a run.

Two things hold a place. A lock of the system, which goes with its process at once, but on many network disks is a lock
within one machine (NFS mounted with `nolock` or `local_lock`), or none at all (Lustre without `flock`), or stays when
its machine has died (NFS 3). So a claim stands beside it: a file that is made only where there is none, names its
holder, and is touched every now and then. Who waits compares what it sees of it with what it saw before, by its own
clock alone: machines need not agree on the time. A claim is taken over at once if its process was of this machine and
is gone, else when it has not been touched for `LEASE`.

Who stood still for so long may find its place taken when it goes on. So nothing is made where others look: it is made
in a folder of the holder's own, which the next holder renames (`runs.store.claim`), and before it is put into its place
the holder looks whether that is still its own (`confirm`).
"""

import errno
import os
import platform
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

LEASE = 120.0  # seconds without a sign of life after which another machine takes a place over
BEATS = 6  # signs of life within that
POLL = 0.1  # seconds between two looks at a place that is held
SETTLE = 0.2  # seconds after which who took a place over looks whether somebody else did in the same moment
#: What a disk without locks answers.
NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP)


class TakenOverError(RuntimeError):
    """This process stood still for so long that another one took its place over."""


@dataclass
class Hold:
    """A place that is held.

    Attributes:
        path: what names the place; a file, if any, that the system's lock is on.
        content: of the claim: a token, the machine, the process, when that started; empty on a full disk.
        token: eight hexadecimal digits that no other holder has.
        file: which file the claim is, in the disk's own numbers.
        foreign: whether the place was taken over from a process that may still be there, and may go on.
    """

    path: Path
    content: str
    token: str
    file: int
    foreign: bool = False
    _ended: threading.Event = field(default_factory=threading.Event)

    def mine(self) -> bool:
        """Return whether the place is still held by this process; an OSError where the disk does not say."""
        seen = _look(_claim_of(self.path))
        return seen is not None and seen[0] == self.content and (self.content != "" or seen[2] == self.file)

    def beat(self) -> None:
        """Give signs of life until the end, or until the place is lost."""
        while not self._ended.wait(LEASE / BEATS):
            with suppress(OSError):  # a network disk that is away for a while
                if not self.mine():
                    return
                os.utime(_claim_of(self.path))

    def end(self) -> None:
        """Give the place back, if it still is this process's."""
        self._ended.set()
        with suppress(OSError):
            if self.mine():
                _claim_of(self.path).unlink()


_holds: dict[Path, Hold] = {}


def confirm(path: Path) -> None:
    """Raise a TakenOverError if this process held a place and does so no more."""
    hold = _holds.get(path)
    if hold is not None and not hold.mine():
        raise TakenOverError(f"{path.parent}: another process has taken the place over that this one held")


@contextmanager
def held(path: Path, waiting: Callable[[], object] | None = None) -> Iterator[Hold]:
    """Hold a place against other processes, of this machine and of others; it goes with its process.

    Args:
        path: the lock's file, which is there only while the place is held, and so is its claim beside it; its folder is
            made.
        waiting: called once if another process holds it, before this waits; what it raises goes through, so that
            nothing is waited for.
    """
    from filelock import FileLock

    lock = FileLock(path, fallback_to_soft=False)
    locked: bool | None = False
    try:
        hold, locked = _take(path, lock, waiting)
        try:
            threading.Thread(target=hold.beat, daemon=True, name=f"holds {path.name}").start()
            _holds[path] = hold
            yield hold
        finally:
            _holds.pop(path, None)
            hold.end()
    finally:
        if lock.is_locked or locked is None:
            # Removed while it is held: whoever waits for it finds out that its file is gone, and takes a new one.
            path.unlink(missing_ok=True)
        if lock.is_locked:
            lock.release()


def _take(path: Path, lock: Any, waiting: Callable[[], object] | None) -> tuple[Hold, bool | None]:
    """Return a place that is held now, and whether the system's lock is, None where it has none."""
    content = f"{os.urandom(4).hex()} {_me()}"
    claim, seen, since = _claim_of(path), None, 0.0
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            locked, now = _try(lock), _look(claim)
            here, gone = _of(now[0]) if now is not None else (False, False)
            if now is None and locked is not False and (hold := _make(path, content)):
                return hold, locked
            if now != seen:
                seen, since = now, time.monotonic()
            lapsed = time.monotonic() - since > LEASE and not (here and locked is False)
            free = lapsed or (gone and locked is not False)
            if now is not None and free and (file := _replace(claim, now, content)):
                return Hold(path, content, content[:8], file, foreign=not gone), locked
        except FileNotFoundError:  # whoever held it has taken the empty folder away: make it again
            continue
        if waiting is not None and not gone:
            waiting()
            waiting = None
        time.sleep(POLL)


def _try(lock: Any) -> bool | None:
    """Return whether the system's lock is held now; None where a disk has none."""
    from filelock import Timeout

    try:
        if not lock.is_locked:
            lock.acquire(timeout=0)
    except Timeout:
        return False
    except OSError as error:
        if error.errno in NO_LOCKS:
            return None
        raise
    return True


def _claim_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.claim")


def _look(claim: Path) -> tuple[str, int, int] | None:
    """Return what is to be seen of a claim: its content, when it was touched, which file it is; None where is none."""
    try:
        with claim.open() as stream:  # opened: a network disk then asks its server
            status = os.fstat(stream.fileno())
            return stream.read(1000), status.st_mtime_ns, status.st_ino
    except FileNotFoundError:
        return None


def _make(path: Path, content: str) -> Hold | None:
    """Return a place whose claim was made now; None where somebody else was faster."""
    try:
        descriptor = os.open(_claim_of(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    except FileExistsError:
        return None
    token, file = content[:8], os.fstat(descriptor).st_ino
    try:
        os.write(descriptor, content.encode())
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        content = ""  # a full disk is for whoever has something to write; a finished run can still be found
    finally:
        os.close(descriptor)
    return Hold(path, content, token, file)


def _replace(claim: Path, seen: tuple[str, int, int], content: str) -> int | None:
    """Put a claim of one's own into the place of one that was looked at; return its file if it stays there."""
    own = claim.with_name(f"{claim.name}.{content[:8]}")
    try:
        own.write_text(content)
        if _look(claim) != seen:
            return None
        own.replace(claim)
    finally:
        own.unlink(missing_ok=True)
    time.sleep(SETTLE)
    found = _look(claim)
    return found[2] if found is not None and found[0] == content else None


def _of(content: str) -> tuple[bool, bool]:
    """Return whether a claim's process is of this machine, and whether it is known to be gone."""
    _, *theirs = content.split() or [""]
    if len(theirs) != 3 or theirs[0] != _machine():
        return False, False
    return True, not _runs(int(theirs[1]), theirs[2])


def _me() -> str:
    return f"{_machine()} {os.getpid()} {_started(os.getpid())}"


@cache
def _machine() -> str:
    """Return what tells this machine, since it was switched on, from others; a container counts as one."""
    parts = [platform.node().replace(" ", "-") or "-"]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        parts.append(str(Path("/proc/self/ns/pid").stat().st_ino))
    return "/".join(parts)


def _started(process: int) -> str:
    """Return when a process started, in the system's own count; "gone" if it did not or has ended, "-" if unknown."""
    if not Path("/proc/self/stat").exists():
        return "-"
    try:
        fields = Path(f"/proc/{process}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return "gone"
    return "gone" if fields[0] in (b"Z", b"X") else fields[19].decode()


def _runs(process: int, started: str) -> bool:
    now = _started(process)
    if now != "-":
        return now == started
    if os.name == "posix":
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return False
        except OSError:
            pass
    return True
