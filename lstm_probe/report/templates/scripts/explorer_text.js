// Text: each character coloured by a number, with a strip above it for a second one, and a unit's own passages.

const readText = (text) => {
  if (!text) return null;
  const starts = [];
  let all = 0;
  for (const { length } of text.stretches.map((one) => Array.from(one))) {
    starts.push(all);
    all += length;
  }
  const first = unpack(text.values.low),
    last = unpack(text.values.high),
    codes = lazily(text.values.values);
  const [mean, sd, low, high] = [text.mean, text.sd, text.low, text.high].map(unpack),
    signals = text.signals.map((packed) => packed && lazily(packed));
  const characters = text.stretches.map((one) => Array.from(one));
  const cut = (values, k) => values.slice(starts[k], starts[k] + characters[k].length);
  const trace = (unit, k) =>
    cut(codes().slice(unit * all, (unit + 1) * all), k).map((code) =>
      code === 65535 ? NaN : first[unit] + ((last[unit] - first[unit]) * code) / 65534,
    );
  const signalValues = (signal, k) => signals[signal] && cut(signals[signal](), k);
  // How far a value of a unit is from its mean, from -1 to 1, where a colour is full.
  const level = (unit, value) => (value - mean[unit]) / (FULL * (sd[unit] || 1));
  const passageLevels = (unit, packed) =>
    unpack(packed).map((v) => level(unit, low[unit] + ((high[unit] - low[unit]) * v) / 255));
  return { ...text, characters, level, passageLevels, trace, signalValues };
};

// What stands for a character that shows nothing, and whether a line ends after it.
const SHOWN_AS = { "\n": "⏎", "\t": "⇥" };
const FULL = 2.5; // standard deviations from its mean at which a colour is full

// A text: `values` colour it, -1 to 1, `strip` stands above it, 0 to 1; `on` takes the place of a character.
const textView = (label, characters, values, strip, on = {}) => {
  const box = make("div", { "class": `coloured${strip ? " stripped" : ""}`, "role": "img", "aria-label": label });
  const spans = characters.map((character, k) => {
    const span = make("span", values[k] < 0 ? { class: "below" } : {}, SHOWN_AS[character] ?? character);
    span.style.setProperty("--v", isKnown(values[k]) ? Math.min(1, Math.abs(values[k])).toFixed(2) : 0);
    if (strip) span.style.setProperty("--s", isKnown(strip[k]) ? strip[k].toFixed(2) : 0);
    return span;
  });
  spans.forEach((span, k) => box.append(span, ...(characters[k] === "\n" ? [make("br")] : [])));
  const places = new Map(spans.map((span, k) => [span, k]));
  const at = (event) => places.get(event.target.closest?.("span"));
  if (on.point)
    box.addEventListener("pointermove", (event) => {
      if (at(event) !== undefined) on.point(at(event));
    });
  if (on.select) selecting(box, at, on.select);
  const mark = (from, to) => spans.forEach((span, k) => span.classList.toggle("chosen", k >= from && k <= to));
  return { box, mark };
};

// A range chosen by pressing, moving and letting go; `at` takes an event to a place, or to undefined.
const selecting = (element, at, then) => {
  let from;
  element.addEventListener("pointerdown", (event) => {
    from = at(event);
    if (from !== undefined) event.preventDefault();
  });
  element.addEventListener("pointermove", (event) => {
    if (from !== undefined && event.buttons) {
      const to = at(event);
      if (to !== undefined) then(Math.min(from, to), Math.max(from, to), false);
    }
  });
  element.addEventListener("pointerup", (event) => {
    const to = at(event);
    if (from !== undefined && to !== undefined) then(Math.min(from, to), Math.max(from, to), true);
    from = undefined;
  });
};

const nameOf = (character) => ({ "\n": "end of line", "\t": "tab", " ": "space" })[character] ?? `“${character}”`;

// A unit over a stretch of held-out text, with the signal above, and the passages where it is highest and lowest.
const textPanel = (model, unit, signal, state, say) => {
  const { text, signals } = model;
  if (!text) return null;
  const { name } = signals[signal],
    { variable } = model.data,
    place = make("div");
  const show = () => {
    const k = state.stretch,
      values = text.trace(unit, k),
      truth = text.signalValues(signal, k),
      characters = text.characters[k];
    const [low, high] = rangeOf(truth ?? []),
      level = (v) => text.level(unit, v);
    const strip = truth && truth.map((v) => (isKnown(v) ? (v - low) / (high - low) : NaN));
    const label = `${characters.length} characters of held-out text, coloured by ${variable} of ${unitName(model, unit)}, ${rangeWords(values)}${truth ? `; above them the true ${name}` : ""}`;
    const point = (t) =>
      say(
        `${nameOf(characters[t])}: ${variable} ${inWords(values[t])}${truth && isKnown(truth[t]) ? `, true ${name} ${inWords(truth[t])}` : ""}`,
      );
    place.replaceChildren(textView(label, characters, values.map(level), strip, { point }).box);
  };
  show();
  const legend = make(
    "p",
    { class: "legend" },
    make("span", {}, make("i", { class: "above" }), "above its mean"),
    make("span", {}, make("i", { class: "below" }), "below its mean (dotted)"),
    make("span", {}, make("i", { class: "strip" }), `strip: true ${name}`),
  );
  const choice =
    text.stretches.length > 1
      ? make(
          "p",
          { class: "controls" },
          chooser(
            "Stretch of text",
            text.stretches.map((_, k) => [k, String(k + 1)]),
            state.stretch,
            (k) => {
              state.stretch = k;
              show();
            },
          ),
        )
      : null;
  const list = (title, found) =>
    found.length
      ? [
          make("h4", {}, title),
          make("ol", { class: "passages" }, ...found.map((one) => make("li", {}, passage(model, unit, one)))),
        ]
      : [];
  const most = `of ${text.read.toLocaleString("en")} characters of held-out text`;
  return figureOf(
    "Over text that training did not see",
    legend,
    choice,
    place,
    make(
      "div",
      { class: "passage-lists" },
      make("div", {}, ...list(`Highest, ${most}`, text.highest[unit])),
      make("div", {}, ...list(`Lowest, ${most}`, text.lowest[unit])),
    ),
  );
};

// One passage; its peak is framed.
const passage = (model, unit, { text, peak, values }) => {
  const characters = Array.from(text),
    level = model.text.passageLevels(unit, values);
  const { box, mark } = textView(
    `Passage: ${text.trim()}; extreme at ${nameOf(characters[peak])}`,
    characters,
    level,
    null,
  );
  mark(peak, peak);
  return box;
};
