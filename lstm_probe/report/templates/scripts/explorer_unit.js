// A unit's panel: its card, its traces over an example sequence, and its curves.

const GATES = ["i", "f", "o", "g"];

const chooser = (label, options, chosen, then) => {
  const select = make("select", {}, ...options.map(([value, text]) => make("option", { value, selected: value === chosen }, text)));
  select.addEventListener("change", () => then(Number(select.value)));
  return make("label", {}, `${label} `, select);
};

// One plot of a variable along a sequence, with the true signal where there is one.
const tracePlot = ({ label, xs, values, truth = null, stepped = false, height, ys = null, kind = "unit", yName = "" }) => {
  const { svg, x, y, box } = plotOf({ label, width: 640, height, xs: [0, Math.max(1, xs.length - 1)], ys: ys ?? rangeOf(values, truth), yName, top: yName ? 14 : 6 });
  if (truth) svg.append(draw("path", { class: "truth", d: pathOf(xs, truth, x, y, stepped) }));
  svg.append(draw("path", { class: kind, d: pathOf(xs, values, x, y) }));
  const line = draw("line", { class: "here", y1: box.top, y2: box.bottom, visibility: "hidden" });
  svg.append(line);
  const here = (step) => { line.setAttribute("x1", x(step)); line.setAttribute("x2", x(step)); line.setAttribute("visibility", "visible"); };
  return { svg, here, box };
};

const rangeWords = (values) => { const [low, high] = rangeOf(values); return `from ${inWords(low)} to ${inWords(high)}`; };

// All traces of a unit in one example sequence; what is pointed at is said.
const tracesOf = (model, unit, signal, sequence, say) => {
  const { examples, signals } = model, { name, kind } = signals[signal];
  const steps = examples.sequences[sequence].steps, xs = Array.from({ length: steps }, (_, k) => k);
  const lag = examples.lagOf(unit, signal), called = `${name}${agoWords(lag)}`;
  const stepped = kind === "binary" || kind === "categorical";
  const raw = examples.signalValues(signal, sequence, lag), plots = [], values = {};
  for (const variable of examples.variables) values[variable] = examples.trace(variable, unit, sequence);
  const add = (variable, options) => plots.push(tracePlot({ xs, values: values[variable], label: `${variable} of ${model.unitName(unit)} over ${steps} steps, ${rangeWords(values[variable])}`, ...options }));
  let drawn = false;
  for (const variable of ["c", "h"].filter((one) => values[one])) {
    const truth = examples.truthOver(variable, unit, signal, sequence);
    drawn ||= truth !== null;
    add(variable, { height: variable === "c" ? 150 : 90, truth, stepped, yName: variable });
    if (truth) plots.at(-1).svg.setAttribute("aria-label", `${plots.at(-1).svg.getAttribute("aria-label")}, over the true ${called}`);
  }
  for (const variable of GATES.filter((one) => values[one])) {
    add(variable, { height: 52, ys: variable === "g" ? [-1, 1] : [0, 1], kind: "unit gate", yName: variable });
  }
  const box = make("div", { class: "traces" }, ...plots.map(({ svg }) => svg));
  box.addEventListener("pointermove", (event) => {
    const svg = event.target.closest("svg");
    if (!svg) return;
    const { left, width } = svg.getBoundingClientRect(), { left: from, right: to } = plots[0].box;
    const step = Math.max(0, Math.min(steps - 1, Math.round(((event.clientX - left) / width * 640 - from) / (to - from) * Math.max(1, steps - 1))));
    for (const plot of plots) plot.here(step);
    const true_ = raw && isKnown(raw[step]) ? `true ${called} ${inWords(raw[step])}` : "";
    say(`step ${step}: ${listWords([...examples.variables.map((one) => `${one} ${inWords(values[one][step])}`), true_])}`);
  });
  const entries = [["unit", `${model.unitName(unit)}`]];
  if (drawn) entries.push(["truth", `true ${called}, brought to the unit's scale ${stepped ? "(its mean in each class)" : kind === "circular" ? "(cosine and sine)" : "(straight line)"} over all ${examples.of} examples`]);
  return [legendOf(entries), box];
};

const heldWords = ({ of, sequences, missing, cut }) => {
  const parts = [];
  if (sequences.length < of) parts.push(`${sequences.length} of ${of} recorded sequences`);
  if (cut) parts.push(`the first ${sequences[0].steps} steps of one`);
  if (missing.length) parts.push(`without ${missing.join(", ")}`);
  return parts.length ? `So that the page stays small, it holds ${listWords(parts)}.` : "";
};

// The panel of a unit. `state.sequence` is which example is drawn; `choose` takes a unit and a signal.
const unitPanel = (model, unit, signal, state, choose, say) => {
  const { title, status, sentences } = model.units[unit], { examples } = model;
  const heading = make("h3", { tabindex: -1 }, title);
  const parts = [heading, make("p", { class: "status" }, status), make("p", { class: "small" }, sentences.join(" "))];
  const controls = make("p", { class: "controls" }, chooser("Signal", model.signals.map(({ name }, k) => [k, name]), signal, (k) => choose(unit, k)));
  parts.push(controls);
  if (examples) {
    const place = make("div", {}), show = () => place.replaceChildren(...tracesOf(model, unit, signal, state.sequence, say));
    if (examples.sequences.length > 1) {
      controls.append(" ", chooser("Example", examples.sequences.map(({ number, steps }, k) => [k, `sequence ${number}, ${steps} steps`]), state.sequence, (k) => { state.sequence = k; show(); }));
    }
    show();
    parts.push(figureOf(`Over example sequence`, place, heldWords(examples) ? make("p", { class: "small soft" }, heldWords(examples)) : null));
  }
  const curves = [tuningPlot, memoryPlot].map((plot) => plot(model, unit, signal)).concat(againstPlot(model, unit, (one) => choose(one)));
  parts.push(make("div", { class: "curves" }, ...curves.filter(Boolean)));
  return { heading, parts };
};
