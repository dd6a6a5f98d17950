
const state = { data: "", rate: "", noise: "", words: [], sanity: true, task: null, chosen: null };
const sorts = {
  heat: { heading: "worst case", direction: -1 }, table: { heading: "AUROC", direction: -1 },
  costs: { heading: "own seconds", direction: -1 }, artifacts: { heading: "seconds", direction: -1 },
};
board.tables.forEach((table) => table.rows.forEach((row) => { row.table = table; }));

const unique = (values) => [...new Set(values)];
const isOfData = (table) => !state.data || table.data === state.data;
const isOfRate = (table) => !state.rate || String(table.rate) === state.rate;
const isOfNoise = (table) => !state.noise || table.noise === state.noise;
const isNamed = (row) => state.words.every((word) => row.name.toLowerCase().includes(word));
const isShown = (row) => (state.sanity || !row.sanity) && isNamed(row);
const findTables = () => board.tables.filter((table) => isOfData(table) && isOfRate(table) && isOfNoise(table));

/** Fill a list of choices, "all" first; a choice that is gone becomes "all". */
function setOptions(id, values) {
  const select = find(id);
  if (!values.map(String).includes(state[id])) state[id] = "";
  const options = [["", "all"], ...values.map((one) => [String(one), String(one)])];
  select.replaceChildren(...options.map(([key, shown]) => make("option", { value: key, selected: key === state[id] }, shown)));
}

/** Start with the data and the rate that most cells are about. */
function chooseStart() {
  const count = (tables) => tables.reduce((sum, table) => sum + table.rows.reduce((n, row) => n + row.cells.length, 0), 0);
  const most = (values, of) => unique(values).sort((a, b) => count(of(b)) - count(of(a)))[0];
  const defined = board.tables.filter((table) => table.is_defined);
  state.data = most(defined.map((table) => table.data), (data) => defined.filter((table) => table.data === data)) ?? "";
  const own = defined.filter(isOfData);
  state.rate = String(most(own.map((table) => table.rate), (rate) => own.filter((table) => table.rate === rate)) ?? "");
  Object.assign(state, { noise: "", words: [], sanity: true, task: null, chosen: null });
}

function refresh() {
  setOptions("data", unique(board.tables.map((table) => table.data)));
  setOptions("rate", unique(board.tables.filter(isOfData).map((table) => table.rate)).sort((a, b) => a - b));
  setOptions("noise", unique(board.tables.filter((table) => isOfData(table) && isOfRate(table)).map((table) => table.noise)));
  showHeatMaps();
  showTable();
  showCosts();
  showNotes();
  setTasks();
}

function showHeatMaps() {
  const first = (summary) => board.tables[summary.tables[0]];
  const summaries = board.summaries.filter((summary) => isOfData(first(summary)) && isOfRate(first(summary)));
  const maps = summaries.map((summary) => makeHeatMap(summary, isShown, sorts.heat));
  find("heat").replaceChildren(...(maps.length ? maps : [sayNothing()]));
}

function showTable() {
  const tables = findTables();
  const rows = tables.flatMap((table) => table.rows.filter(isShown));
  const headings = board.columns.filter((heading) => rows.some((row) => heading in row.values));
  const hasIntervals = rows.some((row) => row.interval);
  const columns = [
    nameColumn(openButton),
    ...(state.noise ? [] : [words("noise", (row) => row.table.noise)]),
    ...(state.rate ? [] : [number("rate", (row) => row.table.rate)]),
    ...(state.data ? [] : [words("data", (row) => row.table.data)]),
    ...headings.flatMap((heading) => heading === "AUROC" && hasIntervals ? [value(heading), INTERVAL] : [value(heading)]),
    SECONDS, number("seeds", (row) => row.table.seeds.length), STATUS,
  ];
  const total = board.tables.reduce((sum, table) => sum + table.rows.length, 0);
  const count = `${rows.length} of ${total} rows`;
  find("count").textContent = count;
  find("table").replaceChildren(rows.length ? makeTable({ caption: count, columns, rows, sort: sorts.table }) : sayNothing());
}

const sayNothing = () => make("p", { class: "gap" }, "No row is left: change or reset the filters.");

function showCosts() {
  const parts = board.costs.filter(isOfData).flatMap((costs) => makeCosts(costs, isNamed, sorts));
  find("costs").replaceChildren(...(parts.length ? parts : [make("p", { class: "gap" }, "These records do not say what each artifact took.")]));
}

function showNotes() {
  const noted = findTables().filter((table) => table.notes.length);
  find("notes").replaceChildren(...noted.map((table) => make("details", {},
    make("summary", {}, `${nameTask(table)}: ${table.notes.length}`),
    make("ul", {}, table.notes.map((note) => make("li", {}, note))))));
}

const nameTask = (table) => [table.noise, !state.rate && `rate ${table.rate}`, !state.data && table.data].filter(Boolean).join(", ");

function setTasks() {
  const tables = findTables();
  if (!tables.includes(state.task)) Object.assign(state, { task: tables.find((one) => one.is_defined) ?? tables[0] ?? null, chosen: null });
  find("task").replaceChildren(...tables.map((table) =>
    make("option", { value: board.tables.indexOf(table), selected: table === state.task }, nameTask(table))));
  showTask();
}

/** Draw the chosen detectors of a task; at first the best ones, the harness's own rows aside. */
function showTask() {
  const rows = state.task ? state.task.rows.filter(isShown) : [];
  const best = rows.filter((row) => !row.sanity && readAuroc(row)).slice(0, 5);
  state.chosen ??= new Map(best.map((row, at) => [row.name, at]));
  const series = rows.filter((row) => state.chosen.has(row.name)).map((row) => [row, state.chosen.get(row.name)]);
  const isFull = state.chosen.size >= MOST_SERIES;
  const focused = document.activeElement?.closest?.("#series") ? document.activeElement.value : null;
  find("series").replaceChildren(find("series").querySelector("legend"), ...rows.map((row) => makeChoice(row, isFull)));
  for (const box of find("series").querySelectorAll("input")) if (box.value === focused) box.focus();
  const chance = state.task?.rows.find((row) => row.sanity && row.name === "none");
  const hasCurves = state.task?.rows.some((row) => Object.keys(row.curves).length);
  find("curves").replaceChildren(...(hasCurves ? CURVES.map((curve) => drawCurves(curve, series, chance))
    : [make("p", { class: "gap" }, "These records hold no curves, or nothing is noisy here: records of older runs get theirs when the suite is run again.")]));
  find("cost").replaceChildren(...(state.task ? [drawCost(rows, series, find("cost").clientWidth < 600 ? WIDTH : 2 * WIDTH)] : []));
}

function makeChoice(row, isFull) {
  const at = state.chosen.get(row.name);
  const isChosen = at !== undefined;
  const attributes = { type: "checkbox", value: row.name, checked: isChosen, disabled: isFull && !isChosen };
  const box = make("input", { ...attributes, change: () => toggle(row.name) });
  const key = draw("svg", { class: `key series-${at ?? "none"}`, viewBox: "0 0 26 10", "aria-hidden": "true" },
    isChosen ? draw("path", { class: "curve", d: "M0 5H26", "stroke-dasharray": DASHES[at % DASHES.length] }) : null);
  return make("label", {}, box, key, showName(row));
}

/** Give a name the first colour that is free, or its own back. */
function toggle(name) {
  const taken = new Set(state.chosen.values());
  const free = Array.from({ length: MOST_SERIES }, (_, at) => at).find((at) => !taken.has(at));
  if (!state.chosen.delete(name)) state.chosen.set(name, free);
  showTask();
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  find("theme").textContent = theme === "dark" ? "Light" : "Dark";
}

/** Follow the system until somebody chooses; a browser that keeps nothing for local files forgets the choice. */
function startTheme() {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  let kept = null;
  try { kept = localStorage.getItem("ecgbench-theme"); } catch { /* nothing is kept */ }
  setTheme(kept ?? (dark.matches ? "dark" : "light"));
  dark.addEventListener("change", () => { if (!kept) setTheme(dark.matches ? "dark" : "light"); });
  find("theme").addEventListener("click", () => {
    kept = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    setTheme(kept);
    try { localStorage.setItem("ecgbench-theme", kept); } catch { /* nothing is kept */ }
  });
}

function start() {
  startTheme();
  chooseStart();
  refresh();
  const change = (id, read) => find(id).addEventListener("input", (event) => { state[id] = read(event.target); refresh(); });
  for (const id of ["data", "rate", "noise"]) change(id, (select) => select.value);
  change("sanity", (box) => box.checked);
  find("text").addEventListener("input", (event) => {
    state.words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
    refresh();
  });
  find("task").addEventListener("input", (event) => {
    Object.assign(state, { task: board.tables[Number(event.target.value)], chosen: null });
    showTask();
  });
  find("filters").addEventListener("submit", (event) => event.preventDefault());
  find("filters").addEventListener("reset", () => setTimeout(() => { chooseStart(); refresh(); }));
  find("details").addEventListener("click", (event) => { if (event.target === find("details")) find("details").close(); });
}

start();
