
/** Everything the records of one row say, seed by seed, in a dialog that Escape closes. */
function openDetails(row) {
  const dialog = find("details");
  const table = row.table;
  const headings = board.columns.filter((heading) => heading in row.values);
  const ok = row.cells.filter((cell) => cell.status === "ok");
  dialog.replaceChildren(
    make("header", {},
      make("h2", { id: "details-title" }, showName(row)),
      make("button", { type: "button", click: () => dialog.close(), autofocus: true }, "Close")),
    make("p", {}, `${table.data}, rate ${table.rate}, noise ${table.noise}`),
    listFacts([["status", row.status], ...headings.map((heading) => [heading, row.values[heading]?.[2] ?? "no mean"])]),
    make("h3", {}, "Cells"), makeCells(row.cells),
    ...listLines("Reasons", row.cells.filter((cell) => cell.status !== "ok"), (cell) => [`${cell.status}: ${cell.reason ?? "no record; run the suite again"}`]),
    ...listLines("Findings", ok, (cell) => cell.findings ?? []),
    ...listLines("Undefined", ok, (cell) => Object.entries(cell.metric_reasons ?? {}).map(([name, reason]) => `${name}: ${reason}`)),
    make("h3", {}, "Provenance"), listFacts(findProvenance(row, table)),
    ...row.cells.filter((cell) => cell.metrics).map(makeMetrics),
  );
  dialog.showModal();
  dialog.scrollTop = 0;
}

function makeCells(cells) {
  const columns = [
    ["seed", (cell) => cell.seed],
    ["status", (cell) => cell.status],
    ["AUROC", (cell) => cell.metrics?.auroc?.toFixed(4)],
    ["AUPRC", (cell) => cell.metrics?.auprc?.toFixed(4)],
    ["realised rate", (cell) => cell.realised_rate === undefined ? undefined : percent(cell.realised_rate)],
    ["seconds", (cell) => cell.status === "ok" ? showSeconds(cell.seconds ?? 0) : undefined],
    ["of its artifacts", (cell) => cell.status === "ok" ? showSeconds(cell.artifact_seconds ?? 0) : undefined],
    ["failed replies", (cell) => cell.status === "ok" ? cell.failed_attempts ?? 0 : undefined],
    ["recorded", (cell) => cell.created_at?.slice(0, 19).replace("T", " ")],
  ];
  const head = make("tr", {}, columns.map(([heading]) => make("th", { scope: "col" }, heading)));
  const rows = [...cells].sort((a, b) => a.seed - b.seed).map((cell) => make("tr", { class: cell.status === "ok" ? null : "bad" },
    columns.map(([, read]) => make("td", {}, String(read(cell) ?? ABSENT)))));
  return make("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": "Cells by seed" },
    make("table", {}, make("thead", {}, head), make("tbody", {}, rows)));
}

/** Each line once, with the seeds it holds for. */
function listLines(title, cells, read) {
  const seeds = new Map();
  for (const cell of cells) for (const line of new Set(read(cell))) seeds.set(line, [...(seeds.get(line) ?? []), cell.seed]);
  if (!seeds.size) return [];
  const items = [...seeds].map(([line, own]) => make("li", {}, `${line} (seed${own.length > 1 ? "s" : ""} ${own.join(", ")})`));
  return [make("h3", {}, title), make("ul", {}, items)];
}

const listFacts = (pairs) => make("dl", {}, pairs.map(([name, one]) => [make("dt", {}, name), make("dd", {}, String(one))]));

function findProvenance(row, table) {
  const bySeed = (read) => groupSeeds(row.cells.filter((cell) => read(cell) !== undefined), read);
  return [
    ["detector's parameters", JSON.stringify(row.detector_params)],
    ["noise's parameters", JSON.stringify(row.noise_params)],
    ["data key", table.data_key || ABSENT],
    ...bySeed((cell) => cell.n_classes).map((shown) => ["classes", shown]),
    ...bySeed((cell) => cell.run).map((shown) => ["run", shown]),
    ...bySeed((cell) => cell.scores).map((shown) => ["scores", shown]),
    ...bySeed((cell) => showObject(cell.artifact_facts)).map((shown) => ["artifacts", shown]),
    ...bySeed((cell) => showObject(cell.expected)).map((shown) => ["expected", shown]),
    ...bySeed((cell) => showObject(board.versions[cell.versions])).map((shown) => ["versions", shown]),
  ];
}

const showObject = (one) => one && Object.keys(one).length ? Object.entries(one).map(([name, value]) => `${name} ${value}`).join(", ") : undefined;

/** What cells say, each saying once; with its seeds where not all say the same. */
function groupSeeds(cells, read) {
  const seeds = new Map();
  for (const cell of cells) seeds.set(read(cell), [...(seeds.get(read(cell)) ?? []), cell.seed]);
  return [...seeds].map(([shown, own]) => seeds.size === 1 ? shown : `${shown} (seed${own.length > 1 ? "s" : ""} ${own.join(", ")})`);
}

function makeMetrics(cell) {
  const pairs = Object.entries(cell.metrics).map(([name, one]) => [name, one === null ? "undefined" : one.toFixed(4)]);
  return pairs.length ? make("details", {}, make("summary", {}, `All metrics, seed ${cell.seed}`), listFacts(pairs)) : null;
}
