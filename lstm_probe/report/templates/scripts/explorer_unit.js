// A unit's panel: its card, its traces over an example sequence, and its curves.

const chooser = (label, options, chosen, then) => {
  const select = make(
    "select",
    {},
    ...options.map(([value, text]) => make("option", { value, selected: value === chosen }, text)),
  );
  select.addEventListener("change", () => then(Number(select.value)));
  return make("label", {}, `${label} `, select);
};

// One plot of a variable along a sequence, with the true signal where there is one.
const tracePlot = ({ label, xs, values, truth, stepped, height, width, ys, kind = "unit", yName, last }) => {
  const { svg, x, y, box } = plotOf({
    label,
    width,
    height: height + (last ? 32 : 6),
    bottom: last ? 18 : 6,
    top: kind === "unit" ? 14 : 6,
    left: 48,
    xs: [0, Math.max(1, xs.length - 1)],
    ys: ys ?? rangeOf(values, truth),
    yName,
    xName: last ? "step" : "",
    xTicks: last ? null : [],
    yTicks: ys,
  });
  if (truth) svg.append(draw("path", { class: "truth", d: pathOf(xs, truth, x, y, stepped) }));
  svg.append(draw("path", { class: kind, d: pathOf(xs, values, x, y) }));
  const line = draw("line", { class: "here", y1: box.top, y2: box.bottom, visibility: "hidden" });
  svg.append(line);
  const here = (step) => fill(line, { x1: x(step), x2: x(step), visibility: "visible" }, []);
  return { svg, here, box };
};

const rangeWords = (values) => {
  const [low, high] = [Math.min(...values.filter(isKnown)), Math.max(...values.filter(isKnown))];
  return low > high ? "not known" : `from ${inWords(low)} to ${inWords(high)}`;
};

// What the dashed line is, or why there is none.
const truthWords = (model, called, kind, drawn, raw) => {
  const { examples } = model;
  if (!raw) return `${called} was not recorded with the examples`;
  if (!drawn) return `${called} never changes in the ${examples.of} recorded examples`;
  const how = { binary: "its mean in each class", categorical: "its mean in each class", circular: "cosine and sine" };
  const fitted = `${how[kind] ?? "straight line"}, fitted to all ${examples.of} examples`;
  return `true ${called}, brought to the unit's scale (${fitted})`;
};

// All traces of a unit in one example sequence; what is pointed at is said.
const tracesOf = (model, unit, signal, sequence, width, say) => {
  const { examples, signals } = model;
  const { name, kind } = signals[signal];
  const { variables, small } = examples;
  const tall = Object.keys(examples.over);
  const steps = examples.sequences[sequence].steps;
  const xs = Array.from({ length: steps }, (_, k) => k);
  const lag = examples.lagOf(unit, signal);
  const called = `${name}${agoWords(lag)}`;
  const stepped = kind === "binary" || kind === "categorical";
  const values = Object.fromEntries(variables.map((one) => [one, examples.trace(one, unit, sequence)]));
  const shown = [...tall, ...Object.keys(small)].filter((one) => values[one]);
  let drawn = false;
  const plots = shown.map((one, k) => {
    const truth = one in small ? null : examples.truthOver(one, unit, signal, sequence);
    drawn ||= truth !== null;
    const over = truth ? `, over the true ${called}` : "";
    return tracePlot({
      xs,
      values: values[one],
      truth,
      stepped,
      width,
      yName: one,
      last: k === shown.length - 1,
      label: `${one} of ${unitName(model, unit)} in ${steps} steps, ${rangeWords(values[one])}${over}`,
      height: one in small ? 34 : one === tall[0] ? 140 : 84,
      kind: one in small ? "gate" : "unit",
      ys: small[one] ?? null,
    });
  });
  const box = make("div", { class: "traces" }, ...plots.map(({ svg }) => svg));
  const raw = examples.signalValues(signal, sequence, lag);
  box.addEventListener("pointermove", (event) => {
    const svg = event.target.closest("svg");
    if (!svg) return;
    const { left, width: wide } = svg.getBoundingClientRect();
    const { left: from, right: to } = plots[0].box;
    const share = (((event.clientX - left) / wide) * width - from) / (to - from);
    const step = Math.max(0, Math.min(steps - 1, Math.round(share * Math.max(1, steps - 1))));
    for (const plot of plots) plot.here(step);
    const truth = raw && isKnown(raw[step]) ? `true ${called} ${inWords(raw[step])}` : "";
    say(`step ${step}: ${listWords([...shown.map((one) => `${one} ${inWords(values[one][step])}`), truth])}`);
  });
  const note = truthWords(model, called, kind, drawn, raw);
  return [
    legendOf([["unit", unitName(model, unit)], ...(drawn ? [["truth", note]] : [])]),
    drawn ? null : make("p", { class: "small soft" }, `Not drawn: ${note}.`),
    box,
  ].filter(Boolean);
};

const roomWords = ({ of, sequences, missing, cut }) => {
  const parts = [];
  if (sequences.length < of) parts.push(`${sequences.length} of ${of} recorded sequences`);
  if (cut) parts.push(`the first ${sequences[0].steps} steps of one`);
  if (missing.length) parts.push(`without ${missing.join(", ")}`);
  return parts.length ? `So that the page stays small, it holds ${listWords(parts)}.` : "";
};

// The panel of a unit. `state.sequence` is which example is drawn; `choose` takes a unit and a signal.
const unitPanel = (model, unit, signal, state, choose, say) => {
  const { title, status, sentences } = model.units[unit];
  const { examples } = model;
  const heading = make("h3", { tabindex: -1 }, title);
  const names = model.signals.map(({ name }, k) => [k, name]);
  const controls = make(
    "p",
    { class: "controls" },
    chooser("Signal", names, signal, (k) => choose(unit, k)),
  );
  const target = model.targets.indexOf(model.signals[signal].name);
  const numbers = [pairWords(model, unit, signal), target < 0 ? "" : lossWords(model, unit, target)];
  const parts = [
    heading,
    make("p", { class: "status" }, status),
    make("p", {}, sentences[0] ?? ""),
    controls,
    ...numbers.filter(Boolean).map((words) => make("p", { class: "small" }, `${words}.`)),
  ];
  if (examples) {
    const place = make("div", {});
    const { sequences } = examples;
    const show = () => place.replaceChildren(...tracesOf(model, unit, signal, state.sequence, state.width, say));
    if (sequences.length > 1) {
      const named = sequences.map(({ number, steps }, k) => [k, `sequence ${number}, ${steps} steps`]);
      controls.append(
        " ",
        chooser("Example", named, state.sequence, (k) => {
          state.sequence = k;
          show();
        }),
      );
    }
    show();
    const left = roomWords(examples);
    parts.push(
      figureOf("At work in an example sequence", place, left ? make("p", { class: "small soft" }, left) : null),
    );
  }
  parts.push(textPanel(model, unit, signal, state, say) ?? "");
  const curves = [tuningPlot(model, unit, signal), memoryPlot(model, unit, signal), againstPlot(model, unit, choose)];
  parts.push(make("div", { class: "curves" }, ...curves.filter(Boolean)));
  if (sentences.length > 1) {
    parts.push(make("h4", {}, "What else the tables say of it"));
    parts.push(make("ul", { class: "small" }, ...sentences.slice(1).map((sentence) => make("li", {}, sentence))));
  }
  return { heading, parts };
};
