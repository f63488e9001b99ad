"""A user's own file of tasks: executed, and what it defines is registered; and where the tasks of a run came from."""

import hashlib
import inspect
import sys
import traceback
from pathlib import Path
from types import ModuleType

from lstm_probe.core.errors import InputError
from lstm_probe.core.files import sha256
from lstm_probe.tasks.base import Task
from lstm_probe.tasks.registry import TASKS, is_built_in, register_task

#: Files that this process has executed, with the checksum of what they held.
_EXECUTED: dict[Path, str] = {}


def load_tasks(path: Path) -> list[str]:
    """Execute a Python file, register the tasks that it defines, and return the names of all that it registered.

    A task that the file registers itself, by `lp.register_task`, need not be defined in it. A file that has not
    changed is executed once in a process.

    Raises:
        InputError: it cannot be executed, or has no task, or one that cannot be registered.
    """
    path = path.absolute()
    name = f"own_tasks_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    try:
        digest = sha256(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from None
    if _EXECUTED.get(path) != digest:
        before = dict(TASKS)
        try:
            module = execute(path, name)
            _register(module)
        except BaseException as error:
            TASKS.clear()
            TASKS.update(before)
            if isinstance(error, InputError):
                raise InputError(*(f"{path}: {line}" for line in error.problems)) from None
            raise
        if all(before.get(task) is cls for task, cls in TASKS.items()):
            raise InputError(*(f"{path}: {line}" for line in _unfinished(module)))
        _EXECUTED[path] = digest
    return [task for task, cls in TASKS.items() if cls.__module__ == name]


def execute(path: Path, name: str) -> ModuleType:
    """Return the module that a file makes, under a name that is its own."""
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module  # where dataclasses look for it
    try:
        exec(compile(path.read_bytes(), str(path), "exec"), vars(module))
    except SyntaxError as error:
        raise InputError(f"line {error.lineno}: {error.msg}.") from None
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        raise InputError(_told(path, error)) from error
    return module


def _told(path: Path, error: BaseException) -> str:
    """Return what went wrong in a file, and in which line of it."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    first = (str(error).splitlines() or [""])[0]
    return f"line {frames[-1].lineno if frames else 0}: {type(error).__name__}: {first}"


def _unfinished(module: ModuleType) -> list[str]:
    """Return why a file has no task: what its classes lack, if that is it."""
    own = [cls for cls in vars(module).values() if _is_own(cls, module) and inspect.isabstract(cls)]
    return [f"{cls.__qualname__}: {', '.join(sorted(cls.__abstractmethods__))}: not there, but needed." for cls in own
            ] or ["there is no task in it; write a class derived from lstm_probe.Task."]  # fmt: skip


def _is_own(cls: object, module: ModuleType) -> bool:
    """Return whether a thing in a module is a class of tasks that it defines."""
    if not isinstance(cls, type) or not issubclass(cls, Task) or cls.__module__ != module.__name__:
        return False
    return not cls.__name__.startswith("_")


def _register(module: ModuleType) -> None:
    for cls in list(vars(module).values()):
        if _is_own(cls, module) and not inspect.isabstract(cls):
            register_task(cls)
            try:
                cls()
            except InputError:
                raise
            except Exception as error:  # whatever that file's code does
                raise InputError(_told(Path(str(module.__file__)), error)) from error


def task_files(task: Task) -> dict[str, Path | None]:
    """Return the source files of the tasks of the user's own in `task` (itself, or parts of it), by name.

    None where there is no file, as for what was typed into a terminal.
    """
    found: dict[str, Path | None] = {}
    for cls in (type(task), *(type(part) for part in getattr(task, "tasks", {}).values())):
        if not is_built_in(cls):
            try:
                path = Path(inspect.getsourcefile(cls) or "")
            except (OSError, TypeError):
                path = Path()
            found[cls.name] = path if path.is_file() else None
    return found


def task_digests(task: Task) -> dict[str, str | None]:
    """Return the checksums of these files, by name."""
    return {name: None if path is None else sha256(path) for name, path in task_files(task).items()}
