"""Which recurrent layer of a file: the only one, or the one that is asked for."""

from collections.abc import Mapping, Sequence

from lstm_probe.core.errors import InputError, nearest


def and_words(words: Sequence[str]) -> str:
    """Return words as a phrase.

    >>> and_words(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def choose_first(path: object, kinds: Mapping[str, str], layer: str | None) -> tuple[str, tuple[str, ...]]:
    """Return the name of the layer to take, and words on others; unless one is asked for, LSTMs go before others.

    Args:
        path: the file, for an error.
        kinds: what each layer in it is, "LSTM" or another word, by its name; one or more.
        layer: the one asked for; see `choose`.

    Raises:
        InputError: as of `choose`.
    """
    first = [name for name, kind in kinds.items() if kind == "LSTM" and layer is None] or list(kinds)
    words = {kinds[name] for name in first}
    name = choose(path, first, layer, kind=words.pop() if len(words) == 1 else "recurrent")
    return name, tuple(f"{other} is another layer, {kinds[other]}: layer={other} reads that"
                       for other in kinds if other not in first)  # fmt: skip


def choose(path: object, names: Sequence[str], layer: str | None, more: str = "", kind: str = "LSTM") -> str:
    """Return the name of the layer to take.

    Args:
        path: the file, for an error.
        names: of every layer in it, one or more.
        layer: the one asked for; the end of a dotted or slashed name will do where it is the only such end.
        more: what else an error shall offer.
        kind: what the layers are.

    Raises:
        InputError: several and none asked for, or none of that name.
    """
    if layer is None:
        if len(names) > 1:
            offer = " or ".join(f"layer={name}" for name in names)
            raise InputError(
                f"path={path}: holds {len(names)} {kind} layers, {and_words(names)}; say which with {offer}{more}"
            )
        return names[0]
    if layer in names:
        return layer
    ends = [name for name in names if name.replace("/", ".").endswith(f".{layer}")]
    if len(ends) == 1:
        return ends[0]
    what = "recurrent layer" if kind == "recurrent" else kind
    raise InputError(f"layer={layer}: no such {what} in {path}; there is {and_words(names)}.{nearest(layer, names)}")
