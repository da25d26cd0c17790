"use strict";
// The list of genes: searched by typing, chosen by pointer or keys. Marker genes come first, then by r, as on the page.

class GeneList {
  constructor(page, onChoose) {
    this.page = page;
    this.onChoose = onChoose;
    this.search = document.getElementById("gene-search");
    this.list = document.getElementById("gene-list");
    this.count = document.getElementById("gene-count");
    this.options = page.genes.map((gene, k) => this.option(gene, k));
    this.chosen = -1;
    this.search.addEventListener("input", () => this.filter());
    for (const element of [this.search, this.list]) element.addEventListener("keydown", (event) => this.key(event));
    this.filter();
  }
  option(gene, k) {
    const r = this.page.pearson && this.page.pearson[k];
    const score = made("span", { text: r === null ? "–" : r.toFixed(2) });
    const option = made("li", { role: "option", id: `gene-${k}`, "aria-selected": "false", title: gene },
      made("em", { text: gene }));
    if (this.page.pearson) option.append(score);
    option.addEventListener("click", () => this.choose(k));
    return option;
  }
  filter() {
    const wanted = this.search.value.trim().toLowerCase();
    this.seen = [...this.page.genes.keys()].filter((k) => this.page.genes[k].toLowerCase().includes(wanted));
    const startsWith = (k) => this.page.genes[k].toLowerCase().startsWith(wanted);
    if (wanted) this.seen.sort((a, b) => startsWith(b) - startsWith(a) || a - b);
    const rows = [];
    let before = null;
    for (const k of this.seen) {
      const kind = this.page.groups[k] === null ? this.page.otherGenes : "Marker genes";
      if (!wanted && kind !== before) rows.push(made("li", { role: "presentation", text: kind }));
      before = kind;
      rows.push(this.options[k]);
    }
    this.list.replaceChildren(...rows);
    this.count.textContent = `${this.seen.length} of ${this.page.genes.length} genes`;
    if (wanted && this.seen.length) this.choose(this.seen[0]);
  }
  key(event) {
    const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: 12, PageUp: -12, Home: -Infinity, End: Infinity };
    const isText = event.target === this.search && (event.key === "Home" || event.key === "End");
    if (!(event.key in moves) || isText || !this.seen.length) return;
    event.preventDefault();
    const place = this.seen.indexOf(this.chosen), last = this.seen.length - 1;
    this.choose(this.seen[Math.max(0, Math.min(last, place < 0 ? 0 : place + moves[event.key]))]);
  }
  choose(gene) {
    if (this.chosen >= 0) this.options[this.chosen].setAttribute("aria-selected", "false");
    this.chosen = gene;
    const option = this.options[gene];
    option.setAttribute("aria-selected", "true");
    for (const element of [this.search, this.list]) element.setAttribute("aria-activedescendant", option.id);
    option.scrollIntoView({ block: "nearest" });
    this.onChoose(gene);
  }
}
