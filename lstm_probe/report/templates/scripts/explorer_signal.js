// A signal's panel: its units, those first that tell most of it.

const FIRST_ROWS = 20;

const barOf = (value, kind) => {
  const svg = draw("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", class: `meter ${kind}`, "aria-hidden": "true" });
  svg.append(draw("rect", { width: isKnown(value) ? Math.round(100 * Math.min(1, Math.max(0, value))) : 0, height: 10 }));
  return svg;
};

const rankedUnits = (model, signal) => model.units.map((_, unit) => ({ unit, ...model.pair(unit, signal) }))
  .sort((a, b) => (isKnown(b.effect) ? b.effect : -1) - (isKnown(a.effect) ? a.effect : -1) || a.unit - b.unit);

const rankRow = (model, { unit, effect, low, high, mark, held }, signal, target) => {
  const link = make("a", { href: hashOf(model, unit, signal) }, model.units[unit].label);
  const told = held ? `${MARKS[mark]}${held.how === "curve" ? "" : agoWords(held.lag)}, ${inWords(held.effect)}` : MARKS[mark];
  const cost = target < 0 ? null : model.loss(unit, target);
  return make("tr", {}, make("th", { scope: "row", class: "n" }, link), make("td", { class: "n" }, barOf(effect, "tells"), inWords(effect)),
    make("td", { class: "n wide" }, isKnown(low) && isKnown(high) ? `${inWords(low)} to ${inWords(high)}` : "–"), make("td", {}, told),
    ...(cost ? [make("td", { class: "n" }, barOf(cost.drop, "costs"), inWords(cost.drop)), make("td", {}, NEEDS[cost.mark])] : []));
};

const signalPanel = (model, signal) => {
  const { name, kind, role, told, testable, reason, scale } = model.signals[signal], target = model.targets.indexOf(name);
  const heading = make("h3", { tabindex: -1 }, name);
  const ranked = rankedUnits(model, signal), body = make("tbody", {});
  const add = (some) => body.append(...some.map((one) => rankRow(model, one, signal, target)));
  add(ranked.slice(0, FIRST_ROWS));
  const head = ["unit", `effect (${scale})`, "95 % interval", "found", ...(target < 0 ? [] : ["clamped, it costs", "needed"])];
  const table = make("table", {}, make("caption", {}, `Units by what their ${model.data.variable} tells of ${name}`), make("thead", {}, make("tr", {}, ...head.map((text, k) => make("th", { scope: "col", class: k === 2 ? "n wide" : [1, 4].includes(k) ? "n" : null }, text)))), body);
  const left = ranked.length - FIRST_ROWS;
  const more = left > 0 ? make("button", { type: "button" }, `Show ${left} more`) : null;
  more?.addEventListener("click", () => { add(ranked.slice(FIRST_ROWS)); more.remove(); });
  const parts = [heading, make("p", { class: "status" }, `${kind}, ${role}`), told ? make("p", { class: "small" }, told) : null,
    testable ? null : make("p", { class: "small" }, `Not testable${reason ? `: ${reason}` : ""}.`), make("div", { class: "scroll" }, table), more];
  return { heading, parts: parts.filter(Boolean) };
};
