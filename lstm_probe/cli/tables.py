"""How the commands' tables look in the terminal."""

from collections.abc import Collection

from rich.table import Table


def plain_table(*header: str, whole: Collection[str] = (), numbers: Collection[str] = (), gap: int = 2) -> Table:
    """Return an empty table without lines, whose cells break where they must.

    Args:
        header: the names of its columns.
        whole: columns whose cells are never broken.
        numbers: columns that are aligned to the right.
        gap: spaces between columns.
    """
    made = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0), header_style="bold", title_justify="left")
    for name in header:
        justify = "right" if name in numbers else "left"
        made.add_column(name, justify=justify, overflow="fold", no_wrap=name in whole)  # type: ignore[arg-type]
    return made
