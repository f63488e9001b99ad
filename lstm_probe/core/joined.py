"""Several names in one cell of a table, whatever is in them."""

import csv
from collections.abc import Iterable

#: A name with one of these in it, or white space at an end, stands in quotes.
_MARKS = ',"\r\n'


def joined(names: Iterable[str], mark: str = ",") -> str:
    """Return names in one text, those with a comma or a quote of their own in quotes, as in CSV.

    >>> joined(["count", "set, or reset"])
    'count,"set, or reset"'
    """
    return mark.join(
        '"' + name.replace('"', '""') + '"' if name != name.strip() or any(one in name for one in _MARKS) else name
        for name in names
    )


def parted(text: str) -> list[str]:
    """Return the names that were joined.

    >>> parted('count,"set, or reset"')
    ['count', 'set, or reset']
    """
    return next(csv.reader([text], skipinitialspace=True), [])
