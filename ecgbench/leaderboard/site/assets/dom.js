
"use strict";
// What a record says reaches the page as text nodes and attributes only, never as markup.
const SVG = "http://www.w3.org/2000/svg";
const ABSENT = "–";
const board = JSON.parse(document.getElementById("board").textContent);
const find = (id) => document.getElementById(id);

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(name, value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null));
  return node;
}

const make = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const draw = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);
const showSeconds = (seconds) => seconds === null ? ABSENT : seconds < 10 ? seconds.toFixed(2) : seconds.toFixed(0);
const percent = (share) => `${Number((100 * share).toPrecision(4))} %`;
const readAuroc = (row) => row.values.AUROC ?? null;

/** A name that breaks between its parameters first. */
const breakable = (name) => name.split(/(?<=[,[_=])/).flatMap((part) => [part, make("wbr")]);
const showName = (row) => `${row.name}${row.sanity ? " †" : ""}${row.reported ? " ‡" : ""}`;

/** What opens the cells of a row. */
function openButton(row, shown, attributes = {}) {
  return make("button", { type: "button", class: "open", click: () => openDetails(row), ...attributes }, shown);
}
