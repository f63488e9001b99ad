// The map: a row for each unit, what it tells of each signal, and beside that what clamping it costs.

// Of groups in which nothing was found and nothing is needed, more than so many units are one line that opens,
// where there are more than so many units in all.
const FOLDED_FROM = 12;
const MANY_UNITS = 40;

// The units in their groups, in the page's order.
const groupsOf = ({ units }) => {
  const groups = [];
  units.forEach(({ group, quiet }, unit) => {
    if (groups.at(-1)?.name !== group) groups.push({ name: group, quiet, units: [] });
    groups.at(-1).units.push(unit);
  });
  for (const group of groups)
    group.folds = group.quiet && group.units.length > FOLDED_FROM && units.length > MANY_UNITS;
  // A map of nothing but folded lines shows nothing.
  if (groups.every(({ folds }) => folds)) groups[0].folds = false;
  return groups;
};

const groupWords = ({ name, units }) => `${units.length} unit${units.length === 1 ? "" : "s"}: ${name}`;

const headerCell = (name, kind, about, cells, first) => {
  const cell = make(
    "th",
    { "scope": "col", "tabindex": -1, "class": first ? "name first" : "name", "aria-label": about.label },
    make("span", {}, name, about.note ? make("small", {}, ` ${about.note}`) : null),
  );
  cells.set(cell, { kind, ...about });
  return cell;
};

const tableHead = (model, cells) => {
  const { signals, targets, losses } = model;
  const names = signals.map(({ name, role, kind }, signal) =>
    headerCell(
      name,
      "signal",
      {
        signal,
        note: role === "target" ? "" : role,
        label: `${name}, ${role}`,
        words: `${name}: ${kind}, ${role}. Enter or a click ranks the units by it.`,
      },
      cells,
    ),
  );
  const costs = targets.map((name, target) =>
    headerCell(
      name,
      "target",
      {
        target,
        signal: model.signalAt(name),
        note: targets.length > 3 ? "" : "cost",
        label: `what clamping costs ${name}`,
        words: `What it costs ${name} to clamp each unit alone.`,
      },
      cells,
      target === 0,
    ),
  );
  return make(
    "thead",
    {},
    make(
      "tr",
      { class: "over" },
      make("td", {}),
      make("th", { colspan: signals.length, scope: "colgroup" }, "what it tells"),
      losses && targets.length > 3
        ? make("th", { colspan: targets.length, scope: "colgroup", class: "first" }, "what clamping costs")
        : null,
      losses && targets.length <= 3 ? make("td", { colspan: targets.length, class: "first" }) : null,
    ),
    make("tr", { class: "names" }, make("td", {}), ...names, ...costs),
  );
};

// A coloured cell: how dark says how much, a dot or a ring what was decided.
const valueCell = (value, mark, label, kind) => {
  const cell = make("td", {
    "tabindex": -1,
    "class": [kind, mark, isKnown(value) ? "" : "unknown"].filter(Boolean).join(" "),
    "aria-label": label,
  });
  if (isKnown(value)) cell.style.setProperty("--value", Math.min(1, Math.max(0, value)).toFixed(3));
  return cell;
};

const PAIR_MARKS = ["", "dot", "small dot", "ring", "ring"];
const LOSS_MARKS = ["", "dot", "ring", ""];

const unitRow = (model, unit, cells) => {
  const head = make(
    "th",
    { "scope": "row", "tabindex": -1, "aria-label": unitWords(model, unit) },
    model.units[unit].label,
  );
  cells.set(head, { kind: "unit", unit });
  const row = make("tr", {}, head);
  model.signals.forEach((_, signal) => {
    const { effect, mark } = model.pair(unit, signal);
    const cell = valueCell(effect, PAIR_MARKS[mark], listWords([inWords(effect), MARKS[mark]]), "tells");
    cells.set(cell, { kind: "pair", unit, signal });
    row.append(cell);
  });
  model.targets.forEach((name, target) => {
    const { drop, mark } = model.loss(unit, target);
    const cell = valueCell(
      drop,
      LOSS_MARKS[mark],
      listWords([inWords(drop), NEEDS[mark]]),
      target ? "costs" : "costs first",
    );
    cells.set(cell, { kind: "loss", unit, target, signal: model.signalAt(name) });
    row.append(cell);
  });
  return row;
};

// What is said of the cell that is pointed at or focused.
const cellWords = (model, cell) => {
  if (cell.kind === "unit") return unitWords(model, cell.unit);
  if (cell.kind === "pair") return pairWords(model, cell.unit, cell.signal);
  return cell.kind === "loss" ? lossWords(model, cell.unit, cell.target) : cell.words;
};

const bodyOf = (model, group, cells, columns) => {
  const body = make("tbody", {});
  const rows = new Map();
  const words = groupWords(group);
  const fold = group.folds
    ? make("button", { "type": "button", "aria-expanded": "false", "tabindex": -1 }, words)
    : null;
  const heading = make("th", { colspan: columns, scope: "rowgroup" }, fold ?? words);
  body.append(make("tr", { class: "group" }, heading));
  const open = () => {
    if (rows.size) {
      for (const row of rows.values()) row.hidden = false;
    } else
      for (const unit of group.units) {
        rows.set(unit, unitRow(model, unit, cells));
        body.append(rows.get(unit));
      }
    fold?.setAttribute("aria-expanded", "true");
  };
  const close = () => {
    for (const row of rows.values()) row.hidden = true;
    fold?.setAttribute("aria-expanded", "false");
  };
  if (fold) {
    cells.set(fold, {
      kind: "fold",
      words: `${words}. Enter or a click opens or closes this line.`,
      toggle: () => (fold.getAttribute("aria-expanded") === "true" ? close() : open()),
    });
  } else open();
  return { body, rows, open, has: (unit) => group.units.includes(unit) };
};

// What the colours and marks of the map are; only those that there are.
const mapLegend = (model) => {
  const { signals, targets, losses, units } = model;
  const marks = new Set();
  units.forEach((_, u) => {
    signals.forEach((_, s) => marks.add(model.pair(u, s).mark));
    targets.forEach((_, t) => marks.add(`needed ${model.loss(u, t).mark}`));
  });
  const unknown = units.some((_, u) => signals.some((_, s) => !isKnown(model.pair(u, s).effect)));
  const key = (looks, text) => make("span", {}, make("i", { "class": looks, "aria-hidden": "true" }), text);
  const line = (kind, start, entries) =>
    make(
      "p",
      {},
      start,
      make("span", {}, "0", make("i", { "class": `ramp ${kind}`, "aria-hidden": "true" }), "1"),
      ...entries.filter(([there]) => there).map(([, looks, text]) => key(looks, text)),
    );
  const scalesOf = (numbers) => [
    ...new Set(signals.filter(({ number }) => number === numbers).map(({ scale }) => scale)),
  ];
  const [ofNumbers, ofClasses] = [scalesOf(true).join(", "), scalesOf(false).join(", ")];
  const scales = ofNumbers && ofClasses ? `${ofNumbers}; of yes/no and classes ${ofClasses}` : ofNumbers || ofClasses;
  return make(
    "div",
    { class: "legend" },
    line("tells", `effect of ${model.data.variable} (${scales}) `, [
      [marks.has(1), "tells dot", "tracks"],
      [marks.has(2), "tells small dot", "goes with another signal"],
      [marks.has(3) || marks.has(4), "tells ring", "an earlier value, or along a curve"],
      [unknown, "tells unknown", "not known"],
    ]),
    losses
      ? line(
          "costs",
          `loss of the target's score${losses.refitted ? ", output brought back to scale" : ", as it stands"} `,
          [
            [marks.has("needed 1"), "costs dot", "needed alone"],
            [marks.has("needed 2"), "costs ring", "needed together"],
          ],
        )
      : null,
  );
};

// The map as an element, with `mark(unit, signal)`: which are chosen, and `focus()`. `choose` is called with both.
const mapOf = (model, choose, say) => {
  const cells = new Map();
  const columns = 1 + model.signals.length + model.targets.length;
  const bodies = groupsOf(model).map((group) => bodyOf(model, group, cells, columns));
  const table = make(
    "table",
    {
      "role": "grid",
      "class": "map",
      "aria-label": "Units, what each tells of each signal, and what clamping it costs",
    },
    make(
      "colgroup",
      {},
      make("col", { class: "label" }),
      ...model.signals.map(() => make("col")),
      ...model.targets.map((_, k) => make("col", { class: k ? null : "apart" })),
    ),
    tableHead(model, cells),
    ...bodies.map(({ body }) => body),
  );
  table.style.setProperty("--columns", columns - 1);
  const longest = Math.max(...[...table.querySelectorAll(".name")].map((one) => one.textContent.length));
  table.style.setProperty("--letters", Math.min(26, longest));
  if (model.units.length > MANY_UNITS) table.classList.add("many");
  const isIn = (element) => element?.closest?.("td, th, button");
  const act = (element) => {
    const cell = cells.get(element);
    if (cell?.kind === "fold") cell.toggle();
    else if (cell && (cell.unit !== undefined || cell.signal >= 0)) choose(cell.unit, cell.signal);
  };
  const grid = gridKeys(table, cells, act);
  table.addEventListener("click", (event) => {
    const cell = isIn(event.target);
    if (cells.has(cell)) {
      grid.enter(cell);
      act(cell);
    }
  });
  for (const kind of ["mouseover", "focusin"]) {
    table.addEventListener(kind, (event) => {
      const cell = cells.get(isIn(event.target));
      if (cell) say(cellWords(model, cell));
    });
  }
  let chosen = [];
  const mark = (unit, signal) => {
    for (const element of chosen) element.removeAttribute("aria-selected");
    const own = bodies.find((body) => body.has(unit));
    if (own && own.rows.get(unit)?.hidden !== false) own.open();
    chosen = [
      own?.rows.get(unit),
      [...cells].find(([, cell]) => cell.kind === "signal" && cell.signal === signal)?.[0],
    ].filter(Boolean);
    for (const element of chosen) element.setAttribute("aria-selected", "true");
    if (own) grid.rest(own.rows.get(unit).firstChild);
  };
  return { element: make("div", { class: "map-box" }, table), legend: mapLegend(model), mark, focus: grid.focus };
};
