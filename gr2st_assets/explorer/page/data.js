"use strict";
// What the page holds: facts as JSON, arrays as gzip and base64. A matrix is unpacked one gene at a time.

function content(id) {
  const element = document.getElementById(`data-${id}`);
  return element ? element.textContent : null;
}

async function unpack(text) {
  const binary = atob(text), bytes = new Uint8Array(binary.length);
  for (let k = 0; k < binary.length; k += 1) bytes[k] = binary.charCodeAt(k);
  if (typeof DecompressionStream === "undefined") return gunzip(bytes).buffer;
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

async function vector(id, Type) {
  const text = content(id);
  return text === null ? null : new Type(await unpack(text));
}

// A matrix of the page; the columns last asked for are kept.
class Columns {
  constructor(text) {
    this.text = text;
    this.kept = new Map();
    this.starts = [0];
    for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) this.starts.push(at + 1);
    this.starts.push(text.length + 1);
  }
  static of(id) {
    const text = content(id);
    return text === null ? null : new Columns(text);
  }
  async column(gene) {
    if (!this.kept.has(gene)) {
      const packed = this.text.slice(this.starts[gene], this.starts[gene + 1] - 1);
      this.kept.set(gene, new Float32Array(await unpack(packed)));
      if (this.kept.size > 64) this.kept.delete(this.kept.keys().next().value);
    }
    return this.kept.get(gene);
  }
}

async function readPage() {
  const facts = JSON.parse(content("facts"));
  const [positions, quantile, edges, referenceIndex, referenceWeights] = await Promise.all([
    vector("positions", Float32Array), vector("quantile", Float32Array), vector("edges", Int32Array),
    vector("reference-index", Int32Array), vector("reference-weights", Float32Array),
  ]);
  const matrices = { observed: Columns.of("observed"), predicted: Columns.of("predicted"),
    halfWidth: Columns.of("half-width") };
  return { ...facts, nSpots: facts.spots.length, positions, quantile, edges, referenceIndex, referenceWeights, matrices };
}

// All that is shown of one gene, arrays over spots; null where the section has no such values.
async function readGene(page, gene) {
  const names = Object.keys(page.matrices);
  const columns = await Promise.all(names.map((name) => page.matrices[name] && page.matrices[name].column(gene)));
  const values = Object.fromEntries(names.map((name, k) => [name, columns[k]]));
  const { observed, predicted, halfWidth } = values;
  const isBounded = Boolean(halfWidth) && !Number.isNaN(halfWidth[0]); // a gene may be without calibration
  return { ...values, halfWidth: isBounded ? halfWidth : null, error: observed && predicted.map((value, spot) => value - observed[spot]) };
}
