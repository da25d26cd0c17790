"use strict";
// Puts the parts together: one gene, one camera, one hovered and one chosen spot for all panels.

const byId = (id) => document.getElementById(id);

class Explorer {
  constructor(page) {
    this.page = page;
    this.camera = new Camera(page);
    this.scene = {
      camera: this.camera, umPerPx: page.slide.umPerPx, image: null, opacity: 0.9, regionMode: "off",
      regions: regionsOf(page), hovered: -1, chosen: -1, neighbours: [], ratio: 1,
    };
    this.distribution = new Distribution(page.pearson);
    this.panels = this.makePanels();
    this.asked = 0;
    this.isAsked = { base: false, top: false };
  }
  makePanels() {
    const maps = Object.fromEntries(Object.entries(this.page.maps).map(([role, hex]) => [role, coloursOf(hex)]));
    const isMeasured = Boolean(this.page.matrices.observed);
    const panels = {
      ...(isMeasured && { observed: new Panel("observed", "Observed", maps.sequential) }),
      predicted: new Panel("predicted", "Predicted", maps.sequential),
      ...(isMeasured && { error: new Panel("error", "Error: predicted − observed", maps.signed) }),
      halfWidth: new Panel("uncertainty", "Uncertainty: half width", maps.width),
    };
    byId("panels").append(...Object.values(panels).map((panel) => panel.root));
    return panels;
  }
  async start() {
    const { page } = this;
    byId("title").textContent = page.section;
    byId("facts").append(...page.facts.map(([name, text]) => made("li", {}, `${name} `, made("b", { text }))));
    byId("reference-note").textContent = page.referenceNote;
    fillLegend(this.scene.regions);
    if (page.slide.image) {
      this.image = new Image();
      this.image.src = page.slide.image;
      await this.image.decode();
      this.scene.image = this.image;
    }
    byId("show-slide").disabled = !page.slide.image;
    byId("region-mode").disabled = !this.scene.regions.names.length;
    this.listen();
    this.resize();
    this.genes = new GeneList(page, (gene) => this.showGene(gene));
    this.genes.choose(0);
  }
  async showGene(gene) {
    const ticket = (this.asked += 1);
    const values = await readGene(this.page, gene);
    if (ticket !== this.asked) return; // another gene was chosen meanwhile
    this.values = values;
    const { observed, predicted, error, halfWidth } = values;
    const limits = amountLimits(observed ?? predicted);
    if (observed) this.panels.observed.show(observed, limits);
    this.panels.predicted.show(predicted, limits);
    if (observed) this.panels.error.show(error, signedLimits(error));
    const missing = this.page.matrices.halfWidth ? "this gene is not calibrated" : this.page.intervalNote;
    this.panels.halfWidth.show(halfWidth, halfWidth && amountLimits(halfWidth), `No interval: ${missing}.`);
    this.describe(gene, limits);
    this.tell();
    this.draw("base", "top");
    byId("panels").dataset.gene = gene;
  }
  describe(gene, { isWhole }) {
    const { page } = this, source = page.matrices.observed ? "observed" : "predicted";
    byId("gene-name").textContent = page.genes[gene];
    byId("gene-group").textContent = page.groups[gene] === null ? "" : `marker: ${page.groups[gene].replaceAll("_", " ")}`;
    byId("gene-score").textContent = this.distribution.sentence(gene);
    this.distribution.draw(gene);
    const range = isWhole ? `lowest to highest ${source} value` : `2nd to 98th percentile of ${source}`;
    const shared = source === "observed" ? "Observed and predicted share one scale, the" : "Scale: the";
    const error = source === "observed" ? " Error: up to the 98th percentile of its size." : "";
    const interval = page.matrices.halfWidth ? ` Uncertainty: ${page.intervalNote}.` : "";
    byId("map-note").textContent = `${shared} ${range}.${error}${interval} ${page.spotNote} ${page.slide.note}`;
  }
  // Text on the chosen and the hovered spot.
  tell() {
    const { chosen, hovered } = this.scene, tip = byId("tip");
    if (!this.values) return;
    tip.hidden = hovered < 0;
    if (hovered >= 0) fillFacts(tip.firstElementChild, spotFacts(this.page, this.values, hovered));
    byId("spot-hint").hidden = chosen >= 0;
    byId("spot-more").hidden = chosen < 0;
    fillFacts(byId("spot-facts"), chosen < 0 ? [] : spotFacts(this.page, this.values, chosen));
  }
  choose(spot) {
    this.scene.chosen = spot;
    this.scene.neighbours = spot < 0 ? [] : neighboursOf(this.page, spot);
    if (spot >= 0) {
      fillReferences(this.page, spot);
      byId("edge-note").textContent = `${this.scene.neighbours.length} neighbours are joined by lines. ${this.page.edgeNote}`;
    }
    this.tell();
    this.draw("top");
  }
  hover(spot, event) {
    const tip = byId("tip");
    if (spot !== this.scene.hovered) {
      this.scene.hovered = spot;
      this.tell();
      this.draw("top");
    }
    if (spot < 0) return;
    const left = event.clientX + 16, over = left + tip.offsetWidth > window.innerWidth;
    tip.style.left = `${over ? event.clientX - tip.offsetWidth - 16 : left}px`;
    tip.style.top = `${Math.max(4, Math.min(event.clientY + 14, window.innerHeight - tip.offsetHeight - 4))}px`;
  }
  // Draw layers of all panels once, before the next frame.
  draw(...layers) {
    const isPending = this.isAsked.base || this.isAsked.top;
    for (const layer of layers) this.isAsked[layer] = true;
    if (!isPending) requestAnimationFrame(() => this.drawNow());
  }
  drawNow() {
    for (const panel of Object.values(this.panels)) {
      if (this.isAsked.base) panel.drawBase(this.scene);
      if (this.isAsked.top) panel.drawTop(this.scene);
    }
    this.isAsked = { base: false, top: false };
  }
  resize() {
    const { width, height } = this.panels.predicted.stage.getBoundingClientRect();
    this.scene.ratio = window.devicePixelRatio || 1;
    for (const panel of Object.values(this.panels)) panel.resize(width, height, this.scene.ratio);
    this.camera.resize(width, height);
    this.draw("base", "top");
  }
  listen() {
    for (const panel of Object.values(this.panels)) this.listenTo(panel.stage);
    new ResizeObserver(() => this.resize()).observe(this.panels.predicted.stage);
    const set = (name, value) => { this.scene[name] = value; this.draw("base"); };
    byId("show-slide").addEventListener("change", (event) => set("image", event.target.checked ? this.image : null));
    byId("opacity").addEventListener("input", (event) => set("opacity", Number(event.target.value)));
    byId("region-mode").addEventListener("change", (event) => set("regionMode", event.target.value));
    byId("controls").addEventListener("submit", (event) => event.preventDefault());
    byId("fit").addEventListener("click", () => this.look(() => this.camera.fit()));
    byId("theme").addEventListener("click", () => setTheme(document.documentElement.dataset.theme !== "dark"));
    document.addEventListener("keydown", (event) => { if (event.key === "Escape") this.choose(-1); });
  }
  look(change) {
    change();
    this.draw("base", "top");
  }
  listenTo(stage) {
    let from = null, moved = 0;
    const at = (event) => {
      const { left, top } = stage.getBoundingClientRect();
      return { x: event.clientX - left, y: event.clientY - top };
    };
    stage.addEventListener("pointerdown", (event) => {
      from = event;
      moved = 0;
      stage.setPointerCapture(event.pointerId);
    });
    stage.addEventListener("pointermove", (event) => {
      const { x, y } = at(event);
      if (!from) { this.hover(this.camera.spotAt(x, y), event); return; }
      const dx = event.clientX - from.clientX, dy = event.clientY - from.clientY;
      moved += Math.abs(dx) + Math.abs(dy);
      if (moved < 4) return;
      stage.classList.add("dragged");
      this.hover(-1, event);
      this.look(() => this.camera.move(dx, dy));
      from = event;
    });
    stage.addEventListener("pointerup", (event) => {
      const { x, y } = at(event);
      if (from && moved < 4) this.choose(this.camera.spotAt(x, y));
      from = null;
      stage.classList.remove("dragged");
    });
    stage.addEventListener("pointercancel", () => { from = null; stage.classList.remove("dragged"); });
    stage.addEventListener("pointerleave", (event) => { if (!from) this.hover(-1, event); });
    stage.addEventListener("wheel", (event) => {
      event.preventDefault();
      const { x, y } = at(event);
      this.look(() => this.camera.zoomAt(1.0018 ** -event.deltaY, x, y));
    }, { passive: false });
    stage.addEventListener("keydown", (event) => this.key(event));
  }
  key(event) {
    const { camera } = this, { width, height } = camera.size;
    const moves = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
    const factor = { "+": 1.25, "=": 1.25, "-": 0.8 }[event.key];
    if (event.key in moves) this.look(() => camera.move(...moves[event.key]));
    else if (factor) this.look(() => camera.zoomAt(factor, width / 2, height / 2));
    else if (event.key === "0") this.look(() => camera.fit());
    else return;
    event.preventDefault();
  }
}

function setTheme(isDark) {
  document.documentElement.dataset.theme = isDark ? "dark" : "light";
  byId("theme").textContent = isDark ? "Light" : "Dark";
}

setTheme(window.matchMedia("(prefers-color-scheme: dark)").matches);
const explorer = readPage().then((page) => new Explorer(page));
explorer.then((opened) => opened.start()).catch((error) => {
  byId("title").textContent = `This page cannot be read: ${error.message}`;
});
