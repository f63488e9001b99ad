"""How a signal is like another one that it can't be told from: as a whole, or in a part of one of the two."""

#: Of which kinds a part alone may be nearly the same as another signal, and what that part is called.
PARTS = {"categorical": ("one class of {}", "one of its classes"), "circular": ("the sine or cosine of {}",
                                                                               "its sine or cosine")}  # fmt: skip


def likeness(kind: str, other: str) -> str:
    """Return what a signal of a kind is to one of another kind, if some column of the one is nearly one of the other.

    Args:
        kind: of the signal of which it is said; any word but those of `PARTS` stands for one column alone.
        other: of the other signal.

    Returns:
        Words that go on from the signal's name, with {} in place of the other's.

    >>> likeness("continuous", "circular"), likeness("categorical", "binary")
    ('is nearly the sine or cosine of {}', 'nearly includes {} as one of its classes')
    """
    if kind in PARTS and other in PARTS:
        return "has a part nearly in common with {}"
    if other in PARTS:
        return f"is nearly {PARTS[other][0]}"
    return f"nearly includes {{}} as {PARTS[kind][1]}" if kind in PARTS else "can't be told from {}"
