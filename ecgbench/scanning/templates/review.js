"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const rows = data.rows;
  const known = new Set(rows.map((row) => row.row));
  const steps = []; // what undo takes back: [place, decision before]
  let decisions = load();
  let at = firstOpen(0);

  // {row: [decision, label]}; whatever else lies in the store is not ours.
  function load() {
    const found = new Map();
    try {
      for (const [row, entry] of JSON.parse(localStorage.getItem(data.key) || "[]")) {
        if (known.has(row) && ["keep", "relabel", "drop"].includes(entry[0])) found.set(row, entry);
      }
    } catch { /* no storage, or not ours: start empty */ }
    return found;
  }

  function store() {
    try {
      localStorage.setItem(data.key, JSON.stringify([...decisions]));
    } catch {
      $("count").textContent += " (not kept by this browser: save them)";
    }
  }

  function firstOpen(from) {
    for (let i = 0; i < rows.length; i++) {
      const place = (from + i) % rows.length;
      if (!decisions.has(rows[place].row)) return place;
    }
    return Math.min(from, rows.length - 1);
  }

  // Append the text with its evidence marked: text nodes only, so nothing in it becomes markup.
  function showText(into, text, spans) {
    const inside = new Uint8Array(text.length);
    for (const span of spans.filter(Boolean)) {
      const start = text.indexOf(span);
      if (start >= 0) inside.fill(1, start, start + span.length);
    }
    into.replaceChildren();
    for (let start = 0; start < text.length;) {
      let end = start;
      while (end < text.length && inside[end] === inside[start]) end++;
      const part = document.createTextNode(text.slice(start, end));
      if (inside[start]) {
        const mark = document.createElement("mark");
        mark.append(part);
        into.append(mark);
      } else into.append(part);
      start = end;
    }
  }

  function percent(share) { return `${Math.round(100 * share)} %`; }

  function item(text, note) {
    const line = document.createElement("li");
    line.append(text);
    if (note) {
      const span = document.createElement("span");
      span.textContent = ` ${note}`;
      line.append(span);
    }
    return line;
  }

  function show() {
    const row = rows[at];
    if (!row) return;
    $("place").textContent = `${row.rank} of ${rows.length}, row ${row.row} of the file, suspicion ${row.suspicion.toFixed(3)}`;
    $("given").textContent = row.label;
    $("proposal").hidden = row.proposed_label === null;
    $("proposed").textContent = row.proposed_label ?? "";
    $("sure").textContent = row.confidence === null ? "" : percent(row.confidence)
      + (row.agreement === null ? "" : `, stated by ${percent(row.agreement)} of the drawn explanations`);
    showText($("text"), row.text, row.evidence);
    $("text").scrollTop = 0;
    $("rationale").textContent = row.rationale;
    $("shortcuts").replaceChildren(...row.shortcuts.map((line) => item(line)));
    $("others").hidden = row.neighbours.length === 0;
    $("neighbours").replaceChildren(...row.neighbours.map(
      (other) => item(other.text, `(${other.label}; row ${other.row}, similarity ${other.similarity})`)));
    showChoices(row);
    showProgress();
  }

  function showChoices(row) {
    const select = $("label");
    select.replaceChildren(...data.labels.filter((name) => name !== row.label).map((name) => new Option(name, name)));
    const entry = decisions.get(row.row);
    if (entry && entry[0] === "relabel") select.value = entry[1];
    else if (row.proposed_label !== null && row.proposed_label !== row.label) select.value = row.proposed_label;
    $("decision").textContent = entry ? (entry[0] === "relabel" ? `relabel: ${entry[1]}` : entry[0]) : "";
  }

  function showProgress() {
    $("progress").value = decisions.size;
    $("count").textContent = `${decisions.size} of ${rows.length} decided`;
  }

  function go(place) {
    at = Math.max(0, Math.min(rows.length - 1, place));
    show();
  }

  function decide(decision) {
    const row = rows[at];
    if (!row) return;
    steps.push([at, decisions.get(row.row)]);
    decisions.set(row.row, [decision, decision === "relabel" ? $("label").value : ""]);
    go(at + 1);
    store();
  }

  function undo() {
    const step = steps.pop();
    if (!step) return;
    const [place, before] = step;
    if (before) decisions.set(rows[place].row, before);
    else decisions.delete(rows[place].row);
    go(place);
    store();
  }

  function quoted(cell) { return /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell; }

  function save() {
    const made = [...decisions].sort((a, b) => a[0] - b[0]);
    const lines = [["row", "decision", "label"], ...made.map(([row, entry]) => [String(row), ...entry])];
    const csv = lines.map((cells) => `${cells.map(quoted).join(",")}\n`).join("");
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([csv], { type: "text/csv" }));
    link.download = "decisions.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  const actions = {
    keep: () => decide("keep"), relabel: () => decide("relabel"), drop: () => decide("drop"), undo,
    previous: () => go(at - 1), next: () => go(at + 1), open: () => go(firstOpen(at)), save,
  };
  const keys = {
    k: "keep", r: "relabel", d: "drop", u: "undo", o: "open", s: "save",
    j: "next", ArrowRight: "next", p: "previous", ArrowLeft: "previous",
  };
  for (const [id, act] of Object.entries(actions)) $(id).addEventListener("click", act);
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const inSelect = event.target === $("label");
    if (inSelect && event.key.length > 1) return; // its own arrows
    if (/^[1-9]$/.test(event.key) && !inSelect) {
      if ($("label").options[event.key - 1]) $("label").selectedIndex = event.key - 1;
    } else if (Object.hasOwn(keys, event.key)) {
      event.preventDefault();
      actions[keys[event.key]]();
      if (inSelect) $("row").focus();
    }
  });
  show();
})();
