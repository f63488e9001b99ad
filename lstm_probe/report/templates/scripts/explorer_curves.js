// A unit's curves: the mean of its memory at each value of a signal, what it still tells of the past, and where it
// stands among all units.

const CURVE = { height: 190, top: 16 };

// A dot that says its numbers when it is pointed at.
const dotOf = (kind, cx, cy, r, words) =>
  draw("circle", { class: kind, cx: cx.toFixed(1), cy: cy.toFixed(1), r }, draw("title", {}, words));

const uprightOf = (kind, at, from, to) => draw("line", { class: kind, x1: at, x2: at, y1: from, y2: to });

// A band between two lists of heights; only where both are known.
const bandOf = (xs, below, above, x, y) => {
  const places = xs.map((_, k) => k).filter((k) => isKnown(below[k]) && isKnown(above[k]));
  if (places.length < 2) return null;
  const edge = (ys, order) => order.map((k) => `${x(xs[k]).toFixed(1)} ${y(ys[k]).toFixed(1)}`).join("L");
  return draw("path", { class: "spread", d: `M${edge(above, places)}L${edge(below, [...places].reverse())}Z` });
};

const tuningPlot = (model, unit, signal) => {
  const curve = model.tuning.find((one) => one.signal === signal);
  const mean = curve?.mean(unit);
  if (!mean?.some(isKnown)) return null;
  const { name, number } = model.signals[signal];
  const { variable } = model.data;
  const xs = curve.level;
  const [sd, low, high] = [curve.sd(unit), curve.ci_low(unit), curve.ci_high(unit)];
  const below = mean.map((m, k) => m - sd[k]);
  const above = mean.map((m, k) => m + sd[k]);
  const [from, to] = rangeOf(xs);
  const room = number ? 0.02 * (to - from) : 0.6;
  const points = xs.map((level, k) => `${inWords(mean[k])} at ${inWords(level)}`).join(", ");
  const { svg, x, y } = plotOf({
    ...CURVE,
    label: `Mean of ${variable} of ${unitName(model, unit)} at each ${name}: ${points}`,
    xs: [from - room, to + room],
    ys: rangeOf(below, above, low, high),
    xName: `${name}${agoWords(curve.lag)}`,
    yName: variable,
    xTicks: number || xs.length > 10 ? null : xs,
  });
  const line = draw("path", { class: "unit", d: pathOf(xs, mean, x, y) });
  if (number) fill(svg, {}, [bandOf(xs, below, above, x, y), line]);
  xs.forEach((level, k) => {
    if (!isKnown(mean[k])) return;
    if (!number && isKnown(sd[k])) svg.append(uprightOf("spread", x(level), y(below[k]), y(above[k])));
    if (isKnown(low[k]) && isKnown(high[k])) svg.append(uprightOf("error", x(level), y(low[k]), y(high[k])));
    const more = [intervalWords(low[k], high[k]), `standard deviation ${inWords(sd[k])}`, `${curve.n[k]} steps`];
    const words = `${name} ${inWords(level)}: mean ${inWords(mean[k])}, ${listWords(more)}`;
    svg.append(dotOf("unit", x(level), y(mean[k]), 3, words));
  });
  const entries = [
    ["unit", "mean, 95 % interval"],
    ["spread", "± standard deviation"],
  ];
  return figureOf("Tuning: its mean at each value", svg, legendOf(entries));
};

const memoryPlot = (model, unit, signal) => {
  const curve = model.memory.find((one) => one.signal === signal);
  const effect = curve?.effect(unit);
  if (!effect?.some(isKnown) || curve.lag.length < 2) return null;
  const held = curve.held(unit);
  const { name } = model.signals[signal];
  const places = scaleOf([curve.lag[0], curve.lag.at(-1)].map(Math.log1p), [44, 312]);
  const points = curve.lag.map((lag, k) => `${inWords(effect[k])} at lag ${lag}`).join(", ");
  const { svg, x, y } = plotOf({
    ...CURVE,
    label: `How well ${unitName(model, unit)} tells ${name} of earlier steps: ${points}`,
    ys: [0, 1],
    xTicks: curve.lag,
    yTicks: [0, 0.5, 1],
    xScale: (lag) => places(Math.log1p(lag)),
    xName: "steps ago",
    yName: "effect",
  });
  const baselines = [
    ["untrained", curve.untrained, "95 % of untrained units stay below"],
    ["itself", curve.signal_itself, `${name} now`],
  ].filter(([, ys]) => ys.some(isKnown));
  for (const [kind, ys] of baselines) svg.append(draw("path", { class: kind, d: pathOf(curve.lag, ys, x, y) }));
  svg.append(draw("path", { class: "unit", d: pathOf(curve.lag, effect, x, y) }));
  curve.lag.forEach((lag, k) => {
    if (!isKnown(effect[k])) return;
    const words = `${name}${agoWords(lag) || " now"}: effect ${inWords(effect[k])}${held[k] ? ", held since" : ""}`;
    svg.append(dotOf(held[k] ? "unit hollow" : "unit", x(lag), y(effect[k]), held[k] ? 4.5 : 3, words));
  });
  const entries = [["unit", unitName(model, unit)], ...baselines.map(([kind, , words]) => [kind, words])];
  if (held.some(Boolean)) entries.push(["ringed", "a ring: held since"]);
  return figureOf("Memory: what it tells of earlier values", svg, legendOf(entries));
};

// Up to this drop the axis is straight, beyond it logarithmic: what is too small to count takes its own room.
const STRAIGHT = 0.01;
const bent = (drop) =>
  drop <= STRAIGHT ? (0.8 * Math.max(0, drop)) / STRAIGHT : 0.8 + Math.log10(Math.min(1, drop) / STRAIGHT);

// All units by what they tell and what clamping costs, this one marked.
const againstPlot = (model, unit, choose) => {
  const { against, units } = model;
  const there = (one) => isKnown(against.strength[one]) && isKnown(against.drop[one]);
  if (!against || !there(unit)) return null;
  const tells = `it tells at most ${inWords(against.strength[unit])} of any signal (as R²)`;
  const costs = `clamping it costs ${inWords(against.drop[unit], 3)} of any target at most`;
  const heights = scaleOf([0, bent(1)], [196, 16]);
  const { svg, x, y, box } = plotOf({
    height: 230,
    top: 16,
    label: `${unitName(model, unit)} among ${units.length} units: ${tells}, and ${costs}`,
    xs: [-0.03, 1.03],
    xTicks: [0, 0.5, 1],
    yTicks: [0, 0.01, 0.1, 1],
    yScale: (drop) => heights(bent(drop)),
    xName: "tells most of a signal, as R²",
    yName: "costs a target most",
  });
  const { min_effect: effect, min_drop: drop } = against;
  if (isKnown(effect)) svg.append(uprightOf("bar", x(effect), box.top, box.bottom));
  if (isKnown(drop)) svg.append(draw("line", { class: "bar", x1: box.left, x2: box.right, y1: y(drop), y2: y(drop) }));
  const place = (one) => [x(against.strength[one]), y(against.drop[one])];
  const dots = new Map();
  units.forEach((_, one) => {
    if (one === unit || !there(one)) return;
    dots.set(dotOf("other", ...place(one), 3.5, unitWords(model, one)), one);
  });
  const [cx, cy] = place(unit);
  const right = against.strength[unit] > 0.8;
  svg.append(...dots.keys(), dotOf("unit", cx, cy, 5, unitWords(model, unit)));
  svg.append(
    draw(
      "text",
      { class: right ? "tick chosen end" : "tick chosen", x: cx + (right ? -9 : 9), y: cy + 4 },
      units[unit].label,
    ),
  );
  svg.addEventListener("click", (event) => {
    const dot = event.target.closest("circle");
    if (dots.has(dot)) choose(dots.get(dot), -1);
  });
  const note = make("p", { class: "small soft" }, "Dashed: from where on it counts, of a target whose score is 1. A click on a dot opens that unit.");
  return figureOf("Tracked against needed: all units, this one marked", svg, note);
};
