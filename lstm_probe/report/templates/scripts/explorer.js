// The explorer: what is chosen stands in the address, so that links work and Back does.

const hashOf = (model, unit, signal) => {
  const chosen = new URLSearchParams();
  if (unit !== undefined && unit >= 0) chosen.set("unit", model.units[unit].label);
  if (signal !== undefined && signal >= 0) chosen.set("signal", model.signals[signal].name);
  return `#${chosen}`;
};

// The unit and the signal that an address names; null where it names neither, as that of a heading.
const chosenBy = (model, hash) => {
  const chosen = new URLSearchParams(hash.slice(1));
  const unit = chosen.has("unit") ? model.unitAt(chosen.get("unit")) : -1;
  const signal = chosen.has("signal") ? model.signalAt(chosen.get("signal")) : -1;
  return unit < 0 && signal < 0 ? null : { unit, signal };
};

const startExplorer = (place, model) => {
  const readout = make(
    "p",
    { "class": "readout", "aria-live": "polite" },
    "Point at a cell for its number, or move with the arrow keys; Enter or a click opens its unit.",
  );
  const say = (text) => {
    readout.textContent = text;
  };
  const panel = make("div", { "class": "unit-panel", "role": "region", "aria-label": "The chosen unit or signal" });
  const state = { sequence: 0, stretch: 0, width: 640, follow: false };
  const choose = (unit, signal) => {
    state.follow = true;
    const hash = hashOf(model, unit, signal);
    if (location.hash === hash) show();
    else location.hash = hash;
  };
  const map = mapOf(model, choose, say);
  const show = () => {
    const { unit, signal } = chosenBy(model, location.hash) ?? { unit: 0, signal: -1 };
    const of = signal < 0 && unit >= 0 ? model.strongest(unit) : signal;
    // Letters keep their size on a narrow screen.
    state.width = Math.max(280, Math.min(736, panel.clientWidth || 640));
    const { heading, parts } = unit < 0 ? signalPanel(model, signal) : unitPanel(model, unit, of, state, choose, say);
    const choosing = panel.contains(document.activeElement) && document.activeElement.matches("select");
    panel.replaceChildren(...parts);
    map.mark(unit, unit < 0 ? signal : -1);
    if (choosing) panel.querySelector("select")?.focus();
    else if (state.follow) heading.focus({ preventScroll: matchMedia("(min-width: 901px)").matches });
    state.follow = false;
  };
  panel.addEventListener("keydown", (event) => {
    if (event.key === "Escape") map.focus();
  });
  panel.addEventListener("click", (event) => {
    if (event.target.closest("a")) state.follow = true;
  });
  place.append(
    make("div", { class: "explorer" }, make("div", { class: "map-side" }, readout, map.element, map.legend), panel),
  );
  const goTo = (unit) => {
    const link = make("a", { href: hashOf(model, unit) }, model.units[unit].label);
    link.addEventListener("click", () => {
      state.follow = true;
    });
    return link;
  };
  startMatching(place, model, say, goTo);
  window.addEventListener("hashchange", () => {
    if (chosenBy(model, location.hash) || !location.hash) show();
  });
  show();
};

const explorerPlace = document.getElementById("explorer");
const explorerData = document.getElementById("explorer-data");
if (explorerPlace && explorerData) startExplorer(explorerPlace, readExplorer(JSON.parse(explorerData.textContent)));
