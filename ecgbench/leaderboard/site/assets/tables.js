
// A column: heading; read(row) gives what it is sorted by, null where there is nothing; show(row) a cell.
const words = (heading, read) => ({ heading, read, show: (row) => make("td", { class: "wide" }, breakable(read(row))) });
const number = (heading, read) => ({ heading, read, isNumber: true, show: (row) => numberCell(String(read(row))) });

function value(heading) {
  return {
    heading, isNumber: true,
    read: (row) => row.values[heading]?.[0] ?? null,
    show: (row) => numberCell(row.values[heading]?.[2]),
  };
}

function numberCell(shown) {
  return make("td", { class: shown ? "number" : "number gap" }, shown ?? ABSENT);
}

const nameColumn = (show) => ({
  heading: "detector",
  read: (row) => row.name,
  show: (row) => make("th", { scope: "row", class: row.sanity ? "sanity" : null }, show(row, breakable(showName(row)))),
});
const SECONDS = {
  heading: "seconds", isNumber: true,
  read: (row) => row.seconds,
  show: (row) => numberCell(row.seconds === null ? null : showSeconds(row.seconds)),
};
const STATUS = {
  heading: "status",
  read: (row) => row.status,
  show: (row) => make("td", { class: row.status === "ok" ? null : "bad" }, row.status),
};

function compare(a, b, direction) {
  if (a === null || b === null) return (a === null) - (b === null); // what is not there comes last, either way
  return direction * (typeof a === "number" ? a - b : a < b ? -1 : a > b ? 1 : 0);
}

/** A table in a box that scrolls, sorted by a column; its headers are buttons. `sort` is kept for the next one. */
function makeTable({ caption, columns, rows, sort }) {
  const body = make("tbody");
  const headers = columns.map((column) => make(
    "th", { scope: "col", class: `${column.isNumber ? "number" : ""} ${column.isWide ? "wide" : ""}` },
    make("button", { type: "button", click: () => sortBy(column) }, breakable(column.heading)),
  ));

  function sortBy(column) {
    const isAgain = sort.heading === column.heading;
    sort.direction = isAgain ? -sort.direction : column.isNumber ? -1 : 1;
    sort.heading = column.heading;
    refresh();
  }

  function refresh() {
    const column = columns.find((one) => one.heading === sort.heading) ?? columns[0];
    const sorted = [...rows].sort((a, b) => compare(column.read(a), column.read(b), sort.direction)); // ties: as they came
    body.replaceChildren(...sorted.map((row) => make("tr", {}, columns.map((one) => one.show(row)))));
    headers.forEach((header, at) => {
      const direction = columns[at] !== column ? "none" : sort.direction > 0 ? "ascending" : "descending";
      header.setAttribute("aria-sort", direction);
    });
  }

  refresh();
  return make(
    "div", { class: "scroll", role: "region", tabindex: "0", "aria-label": caption },
    make("table", {}, make("caption", {}, caption), make("thead", {}, make("tr", {}, headers)), body),
  );
}

/** The AUROC of each detector on each noise of one data and rate, with its worst case. */
function makeHeatMap(tables, isShown, sort) {
  const lines = new Map();
  tables.forEach((table, at) => table.rows.filter(isShown).forEach((row) => {
    if (!lines.has(row.name)) lines.set(row.name, { name: row.name, sanity: row.sanity, reported: false, on: tables.map(() => null) });
    const line = lines.get(row.name);
    line.on[at] = row;
    line.reported ||= row.reported;
  }));
  const rows = [...lines.values()];
  const noises = tables.map((table, at) => ({
    heading: table.noise, isNumber: true, isWide: true,
    read: (line) => line.on[at]?.values.AUROC?.[0] ?? null,
    show: (line) => heatCell(line.on[at]),
  }));
  const worst = {
    heading: "worst case", isNumber: true,
    read: (line) => findWorst(line),
    show: (line) => colour(numberCell(findWorst(line)?.toFixed(3)), findWorst(line)),
  };
  const caption = `${tables[0].data}, rate ${tables[0].rate}`;
  return makeTable({ caption, columns: [nameColumn((_, name) => name), worst, ...noises], rows, sort });
}

function findWorst(line) {
  const means = line.on.map((row) => row?.values.AUROC?.[0] ?? null);
  return means.includes(null) ? null : Math.min(...means);
}

function heatCell(row) {
  if (row === null) return make("td", { class: "number gap" }, "not run");
  const auroc = readAuroc(row);
  const shown = auroc ? auroc[1] : row.status === "ok" ? "undefined" : row.status;
  const label = `${row.name}, ${row.table.noise}: ${auroc ? auroc[2] : shown}`;
  const cell = make("td", { class: auroc ? "number" : "number bad" }, openButton(row, shown, { title: label, "aria-label": label }));
  return colour(cell, auroc?.[0] ?? null);
}

function colour(cell, auroc) {
  if (auroc === null) return cell;
  cell.classList.add("heat", auroc < 0.5 ? "low" : "high");
  cell.style.setProperty("--share", `${(200 * Math.abs(auroc - 0.5) * 0.8).toFixed(1)}%`);
  return cell;
}
