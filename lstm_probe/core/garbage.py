"""When Python looks for what nothing refers to any more."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def not_looked_for() -> Iterator[None]:
    """Let Python not look for garbage in this context: what makes many objects is a tenth quicker without.

    It looks again afterwards; what is made and thrown away meanwhile takes memory until then.
    """
    looked_for = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if looked_for:
            gc.enable()
