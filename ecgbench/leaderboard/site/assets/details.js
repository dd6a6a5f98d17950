
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
    listFacts([["status", row.status], ...headings.map((heading) => [heading, row.values[heading]?.[2] ?? "no mean"]),
      [`${board.interval} of AUROC`, row.interval?.[1] ?? ABSENT]]),
    make("h3", {}, "Cells"), makeCells(row.cells),
    make("h3", {}, "Artifacts"), makeArtifacts(ok),
    make("h3", {}, "Transition matrix"), ...makeTransitions(row.cells),
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
    ["peak MiB", (cell) => orAbsent(cell.peak_memory, showMemory)],
    ["failed replies", (cell) => cell.status === "ok" ? cell.failed_attempts ?? 0 : undefined],
    ["recorded", (cell) => cell.created_at?.slice(0, 19).replace("T", " ")],
  ];
  const rows = [...cells].sort((a, b) => a.seed - b.seed).map((cell) => make("tr", { class: cell.status === "ok" ? null : "bad" },
    columns.map(([, read]) => make("td", {}, String(read(cell) ?? ABSENT)))));
  return makeGrid("Cells by seed", columns.map(([heading]) => heading), rows);
}

function makeGrid(label, headings, rows) {
  const head = make("tr", {}, headings.map((heading) => make("th", { scope: "col" }, heading)));
  return make("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": label },
    make("table", {}, make("thead", {}, head), make("tbody", {}, rows)));
}

/** What each artifact took when it was computed; older records do not know. */
function makeArtifacts(cells) {
  const headings = ["seed", "artifact", "seconds", "peak MiB", "LLM calls", "tokens read", "tokens written"];
  const read = ({ seconds, peak_memory, llm_calls, prompt_tokens, reply_tokens }) => [
    orAbsent(seconds, showSeconds), orAbsent(peak_memory, showMemory),
    ...[llm_calls, prompt_tokens, reply_tokens].map((count) => orAbsent(count, showCount)),
  ];
  const lines = cells.flatMap((cell) => {
    if (cell.artifacts === undefined) return [[cell.seed, ABSENT, ...read({})]];
    const known = Object.entries(board.shared[cell.artifacts]);
    return known.length ? known.map(([name, cost]) => [cell.seed, name, ...read(cost)]) : [[cell.seed, "none", ...read({})]];
  });
  if (!lines.length) return sayAbsent();
  return makeGrid("Artifacts by seed", headings, lines.map((line) => make("tr", {}, line.map((one) => make("td", {}, String(one))))));
}

/** Each matrix once, with the seeds it holds for. */
function makeTransitions(cells) {
  const seeds = collectSeeds(cells, (cell) => cell.transition === undefined ? [] : [cell.transition]);
  if (!seeds.size) return [sayAbsent()];
  const grids = [...seeds].map(([place, own]) => {
    const matrix = board.shared[place];
    const rows = matrix.map((counts, at) => make("tr", {},
      make("th", { scope: "row", class: "number" }, String(at)), counts.map((count) => make("td", { class: "number" }, String(count)))));
    return [make("p", {}, nameSeeds(own)), makeGrid(`Transition matrix, ${nameSeeds(own)}`, ["true class", ...matrix.map((_, at) => `given ${at}`)], rows)];
  });
  return [make("p", { class: "hint" }, "Items by true class (rows) and given label (columns)."), ...grids.flat()];
}

const sayAbsent = () => make("p", { class: "gap" }, ABSENT);

/** Each line once, with the seeds it holds for. */
function listLines(title, cells, read) {
  const seeds = collectSeeds(cells, read);
  if (!seeds.size) return [];
  const items = [...seeds].map(([line, own]) => make("li", {}, `${line} (${nameSeeds(own)})`));
  return [make("h3", {}, title), make("ul", {}, items)];
}

/** The seeds of each thing that cells say; `read` gives all that a cell says. */
function collectSeeds(cells, read) {
  const seeds = new Map();
  for (const cell of cells) for (const one of new Set(read(cell))) seeds.set(one, [...(seeds.get(one) ?? []), cell.seed]);
  return seeds;
}

const nameSeeds = (seeds) => `seed${seeds.length > 1 ? "s" : ""} ${seeds.join(", ")}`;

const listFacts = (pairs) => make("dl", {}, pairs.map(([name, one]) => [make("dt", {}, name), make("dd", {}, String(one))]));

function findProvenance(row, table) {
  const bySeed = (read) => groupSeeds(row.cells.filter((cell) => read(cell) !== undefined), read);
  return [
    ["detector's parameters", JSON.stringify(row.detector_params)],
    ["noise's parameters", JSON.stringify(row.noise_params)],
    ["data key", table.data_key || ABSENT],
    ...bySeed((cell) => cell.run && (cell.origin ?? "run here")).map((shown) => ["origin", shown]),
    ...bySeed((cell) => cell.n_classes).map((shown) => ["classes", shown]),
    ...bySeed((cell) => cell.run).map((shown) => ["run", shown]),
    ...bySeed((cell) => cell.scores).map((shown) => ["scores", shown]),
    ...bySeed((cell) => showObject(cell.artifact_facts)).map((shown) => ["artifacts", shown]),
    ...bySeed((cell) => showObject(cell.expected)).map((shown) => ["expected", shown]),
    ...bySeed((cell) => showObject(board.shared[cell.versions])).map((shown) => ["versions", shown]),
  ];
}

const showObject = (one) => one && Object.keys(one).length ? Object.entries(one).map(([name, value]) => `${name} ${value}`).join(", ") : undefined;

/** What cells say, each saying once; with its seeds where not all say the same. */
function groupSeeds(cells, read) {
  const seeds = collectSeeds(cells, (cell) => [read(cell)]);
  return [...seeds].map(([shown, own]) => seeds.size === 1 ? shown : `${shown} (${nameSeeds(own)})`);
}

function makeMetrics(cell) {
  const pairs = Object.entries(cell.metrics).map(([name, one]) => [name, one === null ? "undefined" : one.toFixed(4)]);
  return pairs.length ? make("details", {}, make("summary", {}, `All metrics, seed ${cell.seed}`), listFacts(pairs)) : null;
}
