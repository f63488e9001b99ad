// What the numbers are in words: as in the tables, the cards and the figures.

// A number with so many decimals, a dash where it is not known; a half goes to the even digit, as in the tables.
const inWords = (value, digits = 2) => {
  if (!isKnown(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  const scaled = Math.abs(value) * 10 ** digits;
  const below = Math.floor(scaled);
  const tie = Number.isInteger(value * 1024) && scaled - below === 0.5 && below % 2 === 0;
  const text = tie ? ((Math.sign(value) * below) / 10 ** digits).toFixed(digits) : value.toFixed(digits);
  return Number(text) === 0 ? text.replace("-", "") : text;
};

const intervalWords = (low, high) =>
  isKnown(low) && isKnown(high) ? `95 % interval ${inWords(low)} to ${inWords(high)}` : "";

const agoWords = (lag) => (lag ? ` of ${lag} step${lag === 1 ? "" : "s"} ago` : "");

const listWords = (parts) => parts.filter(Boolean).join(", ");

// How a unit holds a signal, and whether a target needs a unit: as in tables.py.
const MARKS = ["", "tracks", "goes with", "holds", "holds along a curve"];
const NEEDS = ["", "needed alone", "needed together", "not needed"];

const unitName = (model, unit) => `unit ${model.units[unit].label}`;

// How a unit holds a signal: "tracks count", "holds count of 5 steps ago, effect 0.62".
const heldWords = ({ held, mark }, name) => {
  if (!held) return mark ? `${MARKS[mark]} ${name}` : "";
  const how = held.how === "curve" ? `tracks ${name} along a curve` : `holds ${name}${agoWords(held.lag)}`;
  return `${how}, effect ${inWords(held.effect)}`;
};

// "unit 15, count: effect 0.98 (R²), 95 % interval 0.97 to 0.99, 95 % of untrained units stay below …"
const pairWords = (model, unit, signal) => {
  const one = model.pair(unit, signal);
  const { name, scale, testable } = model.signals[signal];
  const start = `${unitName(model, unit)}, ${name}${agoWords(one.lag)}: `;
  if (!isKnown(one.effect)) return `${start}effect not known`;
  const level = isKnown(one.untrained) ? `95 % of untrained units stay below ${inWords(one.untrained)}` : "";
  const told = heldWords(one, name) || (testable ? "not found to track it" : "not testable");
  const more = listWords([intervalWords(one.low, one.high), level, told]);
  return `${start}effect ${inWords(one.effect)} (${scale}), ${more}`;
};

// "unit 2, clamped at its mean, costs parity 0.80 of its score as it stands, 95 % interval 0.79 to 0.81, needed alone"
const lossWords = (model, unit, target) => {
  const { drop, low, high, mark } = model.loss(unit, target);
  const { refitted, clamped_to: value } = model.losses;
  const name = model.targets[target];
  if (!isKnown(drop)) return `${unitName(model, unit)}, ${name}: what clamping it costs is not known`;
  const left = refitted ? "even after the output is brought back to scale" : "as it stands";
  const start = `${unitName(model, unit)}, clamped at ${value}, costs ${name} ${inWords(drop)} of its score ${left}`;
  return listWords([start, intervalWords(low, high), NEEDS[mark]]);
};

// "unit 15, tracks count 0.98, needed alone"
const unitWords = (model, unit) => {
  const { favourite, best, status } = model.units[unit];
  if (best === null) return `${unitName(model, unit)}, ${status}`;
  const { held, effect } = model.pair(unit, model.signalAt(favourite));
  const verb = held?.how === "earlier" ? "holds" : "tracks";
  const rest = status.replace(/^tracks(, )?/, "");
  return listWords([unitName(model, unit), `${verb} ${best} ${inWords(held ? held.effect : effect)}`, rest]);
};
