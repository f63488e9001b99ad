// Select and match: which units stay on over a range of steps, and where else the same ones are on. A look, no test.

const LINES = 40; // so many units are drawn as lines at most
const MATCHES = 10;
const ALIKE = 0.5; // share of the chosen units that are on at a match, at least

// Where there is something to match: stretches of text, or example sequences; how far each unit is from its mean, in
// standard deviations, over all of them.
const scenesOf = (model) => {
  const { text, examples, units } = model,
    { variable } = model.data;
  const source = text
    ? {
        lengths: text.characters.map(({ length }) => length),
        trace: text.trace,
        signal: text.signalValues,
        name: (k) => `stretch ${k + 1}`,
        step: "character",
      }
    : examples?.values[variable] && {
        lengths: examples.sequences.map(({ steps }) => steps),
        trace: (unit, k) => examples.trace(variable, unit, k),
        signal: (s, k) => examples.signalValues(s, k),
        name: (k) => `sequence ${examples.sequences[k].number}`,
        step: "step",
      };
  if (!source) return null;
  let made = null;
  const levels = () =>
    (made ??= units.map((_, unit) => {
      const own = source.lengths.map((_, k) => source.trace(unit, k)),
        all = own.flat().filter(isKnown);
      const mean = all.reduce((sum, v) => sum + v, 0) / all.length,
        sd = Math.sqrt(all.reduce((sum, v) => sum + (v - mean) ** 2, 0) / all.length);
      return own.map((values) => values.map((v) => (sd > 0 ? (v - mean) / sd : 0)));
    }));
  return { ...source, levels };
};

const sideOf = (level, threshold) => (level >= threshold ? 1 : level <= -threshold ? -1 : 0);

// The units that are on, to the same side, at every step of a range; `apart`: but not just before and after it.
const onIn = (levels, { scene, from, to }, threshold, apart) => {
  const found = [];
  levels.forEach((own, unit) => {
    const side = sideOf(own[scene][from], threshold);
    let on = side !== 0;
    for (let t = from; on && t <= to; t += 1) on = sideOf(own[scene][t], threshold) === side;
    const outside = [from - 1, to + 1].filter((t) => t >= 0 && t < own[scene].length);
    if (on && !(apart && outside.some((t) => sideOf(own[scene][t], threshold) === side))) found.push({ unit, side });
  });
  return found;
};

// For each scene and step, the share of these units that are on to the same side.
const shareOn = (levels, lengths, on, threshold) =>
  lengths.map((steps, scene) =>
    Array.from(
      { length: steps },
      (_, t) => on.filter(({ unit, side }) => sideOf(levels[unit][scene][t], threshold) === side).length / on.length,
    ),
  );

// The ranges as long as the chosen one in which most of its units are on; none overlaps another one, or the chosen one.
const matchesOf = (shares, chosen) => {
  const length = chosen.to - chosen.from + 1,
    windows = [];
  shares.forEach((own, scene) => {
    let sum = 0;
    own.forEach((share, t) => {
      sum += share - (t >= length ? own[t - length] : 0);
      if (t >= length - 1) windows.push({ scene, from: t - length + 1, to: t, share: sum / length });
    });
  });
  const overlap = (a, b) => a.scene === b.scene && a.from <= b.to && b.from <= a.to,
    found = [];
  const usual = windows.reduce((total, { share }) => total + share, 0) / windows.length;
  for (const one of windows.filter(({ share }) => share >= ALIKE).sort((a, b) => b.share - a.share)) {
    if (found.length < MATCHES && !overlap(one, chosen) && !found.some((other) => overlap(one, other))) found.push(one);
  }
  return { found, usual };
};

// A signal over a range, in words: its mean, or the class that it has most.
const signalWords = (model, scenes, signal, ranges) => {
  const values = ranges
    .flatMap(({ scene, from, to }) => scenes.signal(signal, scene)?.slice(from, to + 1) ?? [])
    .filter(isKnown);
  if (!values.length) return "–";
  const { kind } = model.signals[signal];
  if (kind === "categorical" || kind === "circular") {
    const counts = new Map();
    for (const v of values) counts.set(v, (counts.get(v) ?? 0) + 1);
    const [most, times] = [...counts].sort((a, b) => b[1] - a[1])[0];
    return kind === "circular" && times < values.length
      ? "varies"
      : `${inWords(most)} (${Math.round((100 * times) / values.length)} %)`;
  }
  return inWords(values.reduce((sum, v) => sum + v, 0) / values.length);
};

// A long name may go on below, but only where one of its words ends.
const breakable = (name) => name.split(/(?<=_)/).flatMap((part) => [part, make("wbr", {})]);

const matchTable = (model, scenes, chosen, { found, usual }, look) => {
  const shown = model.signals
    .map((_, s) => s)
    .filter((s) => scenes.lengths.some((_, k) => scenes.signal(s, k)) && model.signals[s].role !== "nuisance")
    .slice(0, 8);
  const placed = ({ scene, from, to }) => `${scenes.name(scene)}, ${from} to ${to}`;
  const whole = scenes.lengths.map((steps, scene) => ({ scene, from: 0, to: steps - 1 }));
  const row = (head, share, ranges, kind) =>
    make(
      "tr",
      { class: kind },
      make("th", { scope: "row" }, head),
      make("td", { "class": "n", "data-label": "units on" }, share),
      ...shown.map((s) =>
        make("td", { "class": "n", "data-label": model.signals[s].name }, signalWords(model, scenes, s, ranges)),
      ),
    );
  const button = (one) => {
    const made = make("button", { type: "button" }, placed(one));
    made.addEventListener("click", () => look(one));
    return made;
  };
  return make(
    "table",
    { class: "matches" },
    make("caption", {}, `Where else they are on, best first; signals are means over the ${scenes.step}s`),
    make(
      "thead",
      {},
      make(
        "tr",
        {},
        make("th", { scope: "col" }, "place"),
        make("th", { scope: "col", class: "n" }, "units on"),
        ...shown.map((s) => make("th", { scope: "col", class: "n" }, ...breakable(model.signals[s].name))),
      ),
    ),
    make(
      "tbody",
      {},
      row(`chosen: ${placed(chosen)}`, "100 %", [chosen], "first-row"),
      ...found.map((one) => row(button(one), `${Math.round(100 * one.share)} %`, [one], "")),
      row(`all ${scenes.step}s`, `${Math.round(100 * usual)} %`, whole, "last-row"),
    ),
  );
};
