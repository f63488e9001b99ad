// Tables that sort, filter and download.

const FILTERED_FROM = 9; // rows; a shorter table is seen at a glance
const SHOWN_AT_ONCE = 512; // rows; more take a browser too long to lay out, and come when they are asked for
const inOrder = new Intl.Collator("en", { numeric: true });

/** A cell's exact value: a text, "" for what is not known. */
const valueOf = (cell) => cell.dataset.value ?? cell.textContent;

/** A number as Python or pandas writes it. */
const numberOf = (text) => (/^[+-]?inf$/.test(text) ? (text.startsWith("-") ? -Infinity : Infinity) : Number(text));

/** A text as a search compares it. */
const folded = (text) => text.normalize("NFKC").toLowerCase();

/** A field of RFC 4180. What a spreadsheet would take for a formula gets an apostrophe, unless it is a number. */
function csvField(text) {
  const formula = /^[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/.test(text) && !/^[+-]?(\d+\.?\d*(e[+-]?\d+)?|inf)$/i.test(text);
  const safe = formula ? "'" + text : text;
  return /[",\r\n]/.test(safe) ? '"' + safe.replaceAll('"', '""') + '"' : safe;
}

const csvLine = (fields) => fields.map(csvField).join(",") + "\r\n";

/** The rows as CSV, under the columns' own names; an interval has a column for each end. */
function csvOf(heads, rows) {
  const names = heads.flatMap((head) => [head.dataset.key, ...(head.dataset.upper ? [head.dataset.upper] : [])]);
  const line = (row) =>
    [...row.cells].flatMap((cell) => [valueOf(cell), ...("upper" in cell.dataset ? [cell.dataset.upper] : [])]);
  return csvLine(names) + rows.map((row) => csvLine(line(row))).join("");
}

function download(name, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
  link.download = name + ".csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

/** The rows in the order of a column; equal ones stay as they were, and what is not known comes last both ways. */
function sorted(rows, column, numeric, descending) {
  const told = rows.map((row) => {
    const text = valueOf(row.cells[column]);
    return numeric && text ? numberOf(text) : text;
  });
  const compare = numeric ? (a, b) => a - b || 0 : inOrder.compare;
  const order = [...rows.keys()].sort((one, other) => {
    const [a, b] = [told[one], told[other]];
    if (a === "" || b === "") return (a === "") - (b === "");
    return descending ? compare(b, a) : compare(a, b);
  });
  return order.map((k) => rows[k]);
}

const plural = (count) => (count === 1 ? "1 row" : count + " rows");

function make(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** Buttons in the heads: up, down, and back to the order in which the table came. */
function sortable(heads, rows, ordered) {
  heads.forEach((head, column) => {
    const button = make("button", { type: "button" }, ...head.childNodes);
    button.addEventListener("click", () => {
      const order = head.ariaSort === "ascending" ? "descending" : head.ariaSort ? null : "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      if (order) head.setAttribute("aria-sort", order);
      ordered(order ? sorted(rows, column, head.classList.contains("n"), order === "descending") : rows);
    });
    head.append(button);
  });
}

/** A field that leaves the rows that have its text in some cell. */
function filterField(caption, rows, chosen) {
  const input = make("input", { type: "search", autocomplete: "off", spellcheck: false });
  input.setAttribute("aria-label", "Filter the rows of: " + caption);
  let texts = null;
  input.addEventListener("input", () => {
    texts ??= rows.map((row) => [...row.cells].map((cell) => folded(cell.textContent)));
    const sought = folded(input.value.trim());
    chosen(sought ? new Set(rows.filter((_, k) => texts[k].some((text) => text.includes(sought)))) : null);
  });
  return make("label", {}, "Filter ", input);
}

function equip(table) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const rows = [...body.rows].filter((row) => row.cells[0].scope === "row");
  if (!rows.length) return;
  let [order, matching, most] = [rows, null, SHOWN_AT_ONCE];
  const left = () => (matching ? order.filter((row) => matching.has(row)) : order);
  const csv = make("button", { type: "button" });
  const rest = make("button", { type: "button" });
  const more = make("div", { className: "tools" }, rest);
  const status = make("span", { role: "status" });
  const show = () => {
    const chosen = left();
    const all = chosen.length === rows.length;
    const which = all ? (rows.length > 1 ? "all " : "") + plural(rows.length) : `the ${plural(chosen.length)} left`;
    body.replaceChildren(...chosen.slice(0, most));
    csv.textContent = `Download CSV (${which})`;
    rest.textContent = `Show all ${chosen.length} rows, not the first ${most}`;
    more.hidden = chosen.length <= most;
    status.textContent = matching ? `${chosen.length} of ${plural(rows.length)}` : "";
  };
  const showAll = () => {
    most = Infinity;
    show();
  };
  csv.addEventListener("click", () => download(table.dataset.name, csvOf(heads, left())));
  rest.addEventListener("click", showAll);
  addEventListener("beforeprint", showAll);
  if (rows.length > 1) sortable(heads, rows, (now) => show((order = now)));
  else table.parentElement.tabIndex = 0;
  const filter = rows.length >= FILTERED_FROM;
  const field = filter ? [filterField(table.caption.textContent, rows, (found) => show((matching = found)))] : [];
  table.parentElement[filter ? "before" : "after"](make("div", { className: "tools" }, ...field, csv, status));
  table.parentElement.after(more);
  table.classList.add("live");
  show();
}

document.querySelectorAll(".data table[data-name]").forEach(equip);
