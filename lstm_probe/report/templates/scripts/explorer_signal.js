// A signal's panel: its units, those first that tell most of it.

const FIRST_ROWS = 20;

const barOf = (value, kind) => {
  const svg = draw("svg", {
    "viewBox": "0 0 100 10",
    "preserveAspectRatio": "none",
    "class": `meter ${kind}`,
    "aria-hidden": "true",
  });
  svg.append(
    draw("rect", { width: isKnown(value) ? Math.round(100 * Math.min(1, Math.max(0, value))) : 0, height: 10 }),
  );
  return svg;
};

const rankedUnits = (model, signal) =>
  model.units
    .map((_, unit) => ({ unit, ...model.pair(unit, signal) }))
    .sort((a, b) => (isKnown(b.effect) ? b.effect : -1) - (isKnown(a.effect) ? a.effect : -1) || a.unit - b.unit);

const rankRow = (model, { unit, effect, low, high, mark, held }, signal, target) => {
  const link = make("a", { href: hashOf(model, unit, signal) }, model.units[unit].label);
  const interval = isKnown(low) && isKnown(high) ? make("small", {}, ` ${inWords(low)} to ${inWords(high)}`) : null;
  const found = held
    ? `${MARKS[mark]}${held.how === "curve" ? "" : agoWords(held.lag)}, ${inWords(held.effect)}`
    : MARKS[mark];
  const cost = target < 0 ? null : model.loss(unit, target);
  return make(
    "tr",
    {},
    make("th", { scope: "row", class: "n" }, link),
    make("td", {}, barOf(effect, "tells"), inWords(effect), interval),
    make("td", {}, found),
    cost && make("td", {}, barOf(cost.drop, "costs"), inWords(cost.drop), make("small", {}, ` ${NEEDS[cost.mark]}`)),
  );
};

const signalPanel = (model, signal) => {
  const { name, kind, role, told, testable, reason, scale } = model.signals[signal];
  const target = model.targets.indexOf(name);
  const ranked = rankedUnits(model, signal);
  const body = make("tbody", {});
  const heading = make("h3", { tabindex: -1 }, name);
  const add = (some) => body.append(...some.map((one) => rankRow(model, one, signal, target)));
  add(ranked.slice(0, FIRST_ROWS));
  const heads = [
    "unit",
    `effect (${scale}), 95\u00a0% interval`,
    "found",
    ...(target < 0 ? [] : ["clamped, it costs"]),
  ];
  const table = make(
    "table",
    { class: "rank" },
    make("caption", {}, `Units by what their ${model.data.variable} tells of ${name}`),
    make("thead", {}, make("tr", {}, ...heads.map((text) => make("th", { scope: "col" }, text)))),
    body,
  );
  const left = ranked.length - FIRST_ROWS;
  const more = left > 0 ? make("button", { type: "button" }, `Show ${left} more`) : null;
  more?.addEventListener("click", () => {
    add(ranked.slice(FIRST_ROWS));
    more.remove();
    body.rows[FIRST_ROWS].querySelector("a").focus();
  });
  const parts = [
    heading,
    make("p", { class: "status" }, `${kind}, ${role}`),
    told ? make("p", {}, told) : null,
    testable ? null : make("p", {}, `Not testable${reason ? `: ${reason}` : ""}.`),
    table,
    more,
  ];
  return { heading, parts: parts.filter(Boolean) };
};
