// The keyboard in a table that is a grid.

// Arrow keys in a table: one of its cells takes the focus by Tab, the arrows lead to the others, Enter acts.
const gridKeys = (table, cells, act) => {
  let current = null;
  const rest = (cell) => {
    if (current) current.tabIndex = -1;
    current = cell;
    current.tabIndex = 0;
  };
  const enter = (cell) => {
    rest(cell);
    cell.focus({ preventScroll: true });
    cell.scrollIntoView?.({ block: "nearest", inline: "nearest" });
  };
  const rows = () =>
    [...table.rows]
      .filter((row) => !row.hidden)
      .map((row) =>
        row.classList.contains("group")
          ? [...row.querySelectorAll("button")]
          : [...row.cells].filter((cell) => cells.has(cell)),
      )
      .filter((row) => row.length);
  const moves = {
    ArrowUp: [-1, 0],
    ArrowDown: [1, 0],
    ArrowLeft: [0, -1],
    ArrowRight: [0, 1],
    Home: [0, -Infinity],
    End: [0, Infinity],
    PageUp: [-10, 0],
    PageDown: [10, 0],
  };
  table.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      act(current);
      return;
    }
    const move = moves[event.key];
    if (!move || event.altKey || event.metaKey) return;
    event.preventDefault();
    const all = rows();
    const at = all.findIndex((row) => row.includes(current));
    const within = (value, most) => Math.max(0, Math.min(most, value));
    const row = all[within(at + move[0], all.length - 1)];
    // Column headers have no cell over the units' own names.
    const column = (one) => (cells.get(one[0]).kind === "signal" ? 1 : 0);
    const place = all[at].indexOf(current) + column(all[at]) + move[1] - column(row);
    enter(row[within(place, row.length - 1)]);
  });
  rest([...cells.keys()].find((cell) => cells.get(cell).kind === "unit") ?? [...cells.keys()][0]);
  return { enter, rest, focus: () => current.focus() };
};
