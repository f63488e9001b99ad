// A unit's curves: the mean of its memory at each value of a signal, what it still tells of the past, and where it
// stands among all units.

const tuningPlot = (model, unit, signal) => {
  const curve = model.tuning.find((one) => one.signal === signal);
  if (!curve) return null;
  const { name, number } = model.signals[signal], { variable } = model.data;
  const [mean, sd, low, high] = [curve.mean(unit), curve.sd(unit), curve.ci_low(unit), curve.ci_high(unit)];
  if (!mean.some(isKnown)) return null;
  const below = mean.map((m, k) => m - sd[k]), above = mean.map((m, k) => m + sd[k]), xs = curve.level;
  const [from, to] = rangeOf(xs), room = number ? 0.02 * (to - from) : 0.6;
  const label = `Mean of ${variable} of ${model.unitName(unit)} at each ${name}: ${xs.map((v, k) => `${inWords(mean[k])} at ${inWords(v)}`).join(", ")}`;
  const { svg, x, y } = plotOf({ label, height: 190, xs: [from - room, to + room], ys: rangeOf(below, above, low, high), xName: `${name}${agoWords(curve.lag)}`, yName: variable, top: 16, xTicks: number || xs.length > 10 ? null : xs });
  if (number) {
    const known = xs.map((_, k) => k).filter((k) => isKnown(mean[k]) && isKnown(sd[k]));
    const edge = (ys, list) => list.map((k) => `${x(xs[k]).toFixed(1)} ${y(ys[k]).toFixed(1)}`).join("L");
    if (known.length > 1) svg.append(draw("path", { class: "spread", d: `M${edge(above, known)}L${edge(below, known.toReversed())}Z` }));
    svg.append(draw("path", { class: "unit", d: pathOf(xs, mean, x, y) }));
  }
  xs.forEach((level, k) => {
    if (!isKnown(mean[k])) return;
    const upright = (kind, a, b) => isKnown(a) && isKnown(b) && svg.append(draw("line", { class: kind, x1: x(level), x2: x(level), y1: y(a), y2: y(b) }));
    if (!number) upright("spread wide", below[k], above[k]);
    upright("error", low[k], high[k]);
    svg.append(draw("circle", { class: "unit", cx: x(level), cy: y(mean[k]), r: 3 }, draw("title", {}, `${name} ${inWords(level)}: mean ${inWords(mean[k])}, ${listWords([intervalWords(low[k], high[k]), `standard deviation ${inWords(sd[k])}`, `${curve.n[k]} steps`])}`)));
  });
  return figureOf("Tuning: its mean at each value", svg, legendOf([["unit", "mean, 95 % interval"], ["spread", "± standard deviation"]]));
};

const memoryPlot = (model, unit, signal) => {
  const curve = model.memory.find((one) => one.signal === signal);
  if (!curve) return null;
  const effect = curve.effect(unit), held = curve.held(unit), { name } = model.signals[signal];
  if (!effect.some(isKnown) || curve.lag.length < 2) return null;
  const label = `How well ${model.unitName(unit)} tells ${name} of earlier steps: ${curve.lag.map((lag, k) => `${inWords(effect[k])} of ${lag} steps ago`).join(", ")}`;
  const grown = (lag) => Math.log1p(lag), x0 = scaleOf([grown(curve.lag[0]), grown(curve.lag.at(-1))], [44, 312]);
  const { svg, x, y } = plotOf({ label, height: 190, xs: [curve.lag[0], curve.lag.at(-1)], ys: [0, 1], xTicks: curve.lag, yTicks: [0, 0.5, 1], xScale: (lag) => x0(grown(lag)), xName: "steps ago", yName: "effect", top: 16 });
  const baselines = [["untrained", curve.untrained, "95 % of untrained units"], ["itself", curve.signal_itself, `${name} now`]].filter(([, ys]) => ys.some(isKnown));
  for (const [kind, ys] of baselines) svg.append(draw("path", { class: kind, d: pathOf(curve.lag, ys, x, y) }));
  svg.append(draw("path", { class: "unit", d: pathOf(curve.lag, effect, x, y) }));
  curve.lag.forEach((lag, k) => {
    if (isKnown(effect[k])) svg.append(draw("circle", { class: held[k] ? "unit hollow" : "unit", cx: x(lag), cy: y(effect[k]), r: held[k] ? 4.5 : 3 }, draw("title", {}, `${name}${agoWords(lag) || " now"}: effect ${inWords(effect[k])}${held[k] ? ", held since" : ""}`)));
  });
  return figureOf("Memory: what it tells of earlier values", svg, legendOf([["unit", model.unitName(unit)], ...baselines.map(([kind, , text]) => [kind, text])]));
};

// Up to this drop the axis is straight, beyond it logarithmic: what is too small to count takes its own room.
const STRAIGHT = 0.01;
const bent = (drop) => (drop <= STRAIGHT ? 0.8 * Math.max(0, drop) / STRAIGHT : 0.8 + Math.log10(Math.min(1, drop) / STRAIGHT));

// All units by what they tell and what clamping costs, this one marked.
const againstPlot = (model, unit, choose) => {
  const { against, units } = model;
  if (!against || !isKnown(against.strength[unit]) || !isKnown(against.drop[unit])) return null;
  const label = `${model.unitName(unit)} among ${units.length} units: it tells at most ${inWords(against.strength[unit])} of any signal (as R²), and clamping it costs ${inWords(against.drop[unit], 3)} of any target at most`;
  const height = 230, y0 = scaleOf([0, bent(1)], [196, 16]);
  const { svg, x, y, box } = plotOf({ label, height, xs: [-0.03, 1.03], ys: [0, 1], xTicks: [0, 0.5, 1], yTicks: [0, 0.01, 0.1, 1], yScale: (drop) => y0(bent(drop)), xName: "tells most of a signal, as R²", yName: "costs most", top: 16 });
  const bar = (value, ends) => isKnown(value) && svg.append(draw("line", { class: "bar", ...ends }));
  bar(against.min_effect, { x1: x(against.min_effect), x2: x(against.min_effect), y1: box.top, y2: box.bottom });
  bar(against.min_drop, { x1: box.left, x2: box.right, y1: y(against.min_drop), y2: y(against.min_drop) });
  const dots = new Map();
  units.forEach((_, k) => {
    if (!isKnown(against.strength[k]) || !isKnown(against.drop[k]) || k === unit) return;
    const dot = draw("circle", { class: "other", cx: x(against.strength[k]).toFixed(1), cy: y(against.drop[k]).toFixed(1), r: 3.5 }, draw("title", {}, model.unitWords(k)));
    dots.set(dot, k);
    svg.append(dot);
  });
  svg.append(draw("circle", { class: "unit", cx: x(against.strength[unit]), cy: y(against.drop[unit]), r: 5 }));
  svg.append(draw("text", { class: "tick chosen", x: x(against.strength[unit]) + (against.strength[unit] > 0.8 ? -9 : 9), y: y(against.drop[unit]) + 4, "text-anchor": against.strength[unit] > 0.8 ? "end" : "start" }, units[unit].label));
  svg.addEventListener("click", (event) => { const dot = event.target.closest("circle"); if (dots.has(dot)) choose(dots.get(dot), -1); });
  return figureOf("Tracked against needed: all units, this one marked", svg, make("p", { class: "small soft" }, "Dashed: from where on it counts. A click on a dot opens that unit."));
};
