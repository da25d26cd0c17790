"use strict";
// What is said of one spot and of one gene, in text. Names come from files: they are written as text, never as markup.

const NO_REGION = "not labelled", QUANTILE = "out of distribution";

// Pairs of name and value; a number also with all its digits.
function spotFacts(page, values, spot) {
  const facts = [["spot", page.spots[spot]]];
  const add = (name, value) => facts.push([name, shown(value), value]);
  if (values.observed) add("observed", values.observed[spot]);
  add("predicted", values.predicted[spot]);
  if (values.error) add("error", values.error[spot]);
  if (values.halfWidth) {
    const half = values.halfWidth[spot], middle = values.predicted[spot];
    const low = Math.min(Math.max(middle - half, 0), middle); // expression is never below 0
    facts.push(["interval", `${shown(low)} to ${shown(middle + half)}`]);
    add("half width", half);
  }
  if (page.regions.some((name) => name !== null)) facts.push(["region", page.regions[spot] ?? NO_REGION]);
  if (page.quantile) {
    const share = page.quantile[spot];
    if (Number.isNaN(share)) facts.push([QUANTILE, "not known"]); else add(QUANTILE, share);
  }
  return facts;
}

function fillFacts(list, facts) {
  list.replaceChildren(...facts.flatMap(([name, text, value]) => {
    const item = made("dd", { text, "data-name": name });
    if (value !== undefined) item.dataset.value = String(value);
    return [made("dt", { text: name }), item];
  }));
}

function fillReferences(page, spot) {
  const rows = [];
  for (let k = spot * page.nReferences; k < (spot + 1) * page.nReferences; k += 1) {
    const place = page.referenceIndex[k];
    if (place < 0) continue;
    const [section, name] = page.references[place];
    const weight = page.referenceWeights && `${(100 * page.referenceWeights[k]).toFixed(2)} %`;
    const cells = [section, name, weight].filter((text) => text !== null);
    rows.push(made("tr", {}, ...cells.map((text) => made("td", { text }))));
  }
  document.querySelector("#references tbody").replaceChildren(...rows);
}

// Neighbours of a spot in the spatial graph, itself left out.
function neighboursOf(page, spot) {
  const n = page.edges.length / 2, found = [];
  for (let k = 0; k < n; k += 1) {
    if (page.edges[n + k] === spot && page.edges[k] !== spot) found.push(page.edges[k]);
  }
  return found;
}

// Regions as colours: the most frequent eight have one each, in the order of the alphabet, so that sections with the
// same labels agree; the others share grey, spots without a label have none.
function regionsOf(page) {
  const counts = new Map();
  for (const name of page.regions) if (name !== null) counts.set(name, (counts.get(name) ?? 0) + 1);
  const byName = (a, b) => (a < b ? -1 : 1);
  const frequent = [...counts.keys()].sort((a, b) => counts.get(b) - counts.get(a) || byName(a, b));
  const nColours = page.categories.length;
  const names = [...frequent.slice(0, nColours).sort(byName), ...frequent.slice(nColours)];
  const colours = names.map((_, k) => page.categories[k] ?? "#999999");
  const codes = new Map(names.map((name, k) => [name, k]));
  const steps = Uint16Array.from(page.regions, (name) => (name === null ? names.length : codes.get(name)));
  return { names, counts, colours, steps, palette: Uint32Array.from([...colours, null], pixelOf) };
}

function fillLegend({ names, counts, colours }) {
  document.getElementById("region-part").hidden = !names.length;
  document.getElementById("region-legend").replaceChildren(...names.map((name, k) => {
    const dot = made("i");
    dot.style.background = colours[k];
    return made("li", {}, dot, made("span", { text: name }), made("span", { text: `${counts.get(name)} spots` }));
  }));
}

// Where a gene's r stands among those of all genes of this section.
class Distribution {
  constructor(pearson) {
    this.pearson = pearson;
    this.sorted = (pearson ?? []).filter((r) => r !== null).sort((a, b) => b - a);
    document.getElementById("distribution-part").hidden = !this.sorted.length;
  }
  place(r) {
    return 1 + this.sorted.filter((other) => other > r).length;
  }
  draw(gene) {
    if (!this.sorted.length) return;
    const low = Math.floor(10 * Math.min(0, ...this.sorted)) / 10, bins = new Array(40).fill(0);
    const x = (r) => 6 + (248 * (r - low)) / (1 - low);
    for (const r of this.sorted) bins[Math.min(39, Math.floor((40 * (r - low)) / (1 - low)))] += 1;
    const most = Math.max(...bins), width = 248 / 40;
    const parts = bins.map((n, k) => drawn("rect", { x: 6 + k * width, y: 66 - (58 * n) / most, width: width - 0.6,
      height: (58 * n) / most }));
    parts.push(drawn("line", { x1: 6, x2: 254, y1: 66, y2: 66 }));
    for (const r of [low, 0, 0.5, 1].filter((value, k) => k === 0 || value > low)) {
      const label = drawn("text", { x: x(r), y: 79, "text-anchor": r === 1 ? "end" : r === low ? "start" : "middle" });
      label.textContent = r === Math.round(r) ? String(r) : r.toFixed(1);
      parts.push(label);
    }
    const own = this.pearson[gene];
    if (own !== null) parts.push(drawn("path", { d: `M ${x(own)} 4 V 66` }));
    document.getElementById("distribution").replaceChildren(...parts);
    const median = percentile([...this.sorted].reverse(), 0.5).toFixed(3);
    document.getElementById("distribution-text").textContent =
      `Median ${median} over ${this.sorted.length} genes; the line is the chosen gene.`;
  }
  sentence(gene) {
    if (!this.pearson) return "There are no measurements beside this prediction, so there is no r.";
    const r = this.pearson[gene];
    if (r === null) return "r is not defined: measured or predicted values do not vary.";
    return `r = ${r.toFixed(3)}, rank ${this.place(r)} of ${this.sorted.length}`;
  }
}

function drawn(tag, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}
