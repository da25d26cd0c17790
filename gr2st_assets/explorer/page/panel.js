"use strict";
// One map of the section: the slide and its spots below, what the pointer and the chosen spot add above.

const TURN = 2 * Math.PI;

function made(tag, { text, ...attributes } = {}, ...children) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

class Panel {
  constructor(name, title, colours) {
    this.palette = Uint32Array.from(colours, pixelOf);
    this.bar = made("canvas", { width: N_COLOURS, height: 1 });
    this.low = made("span");
    this.high = made("span");
    this.legend = made("div", { class: "bar" }, this.low, this.bar, this.high);
    [this.base, this.middle, this.top] = [made("canvas"), made("canvas"), made("canvas")];
    this.raster = new Raster(this.middle);
    this.message = made("p", { hidden: "" });
    this.stage = made("div", { class: "stage", tabindex: 0, role: "img", "aria-label": title }, this.base,
      this.middle, this.top, this.message);
    this.root = made("section", { class: "panel", "data-panel": name },
      made("div", {}, made("strong", { text: title }), this.legend), this.stage);
    const context = this.bar.getContext("2d");
    colours.forEach((colour, k) => { context.fillStyle = colour; context.fillRect(k, 0, 1, 1); });
  }
  // Show values on a scale, or say why there are none.
  show(values, limits, message) {
    this.steps = values && stepsOf(values, limits);
    this.legend.hidden = !values;
    this.message.hidden = Boolean(values);
    this.message.textContent = values ? "" : message;
    if (!values) return;
    this.low.textContent = shown(limits.low);
    this.high.textContent = shown(limits.high);
  }
  resize(width, height, ratio) {
    for (const canvas of [this.base, this.middle, this.top]) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
  }
  cleared(canvas, ratio) {
    const context = canvas.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    return context;
  }
  drawBase(scene) {
    const context = this.cleared(this.base, scene.ratio), { camera } = scene;
    if (!this.steps) return;
    if (scene.image) {
      const { left, top } = camera.origin;
      context.drawImage(scene.image, left, top, camera.box.width * camera.zoom, camera.box.height * camera.zoom);
    }
    const { regions } = scene, isFilled = scene.regionMode === "fill";
    this.middle.style.opacity = scene.opacity;
    this.raster.draw(camera, scene.ratio, isFilled ? regions.steps : this.steps, isFilled ? regions.palette : this.palette);
    if (scene.regionMode === "outline") outlineSpots(this.middle.getContext("2d"), scene);
  }
  drawTop(scene) {
    const context = this.cleared(this.top, scene.ratio), { camera } = scene;
    if (!this.steps) return;
    if (scene.chosen >= 0) {
      drawEdges(context, camera, scene.chosen, scene.neighbours);
      drawRing(context, camera, scene.chosen, 3);
    }
    if (scene.hovered >= 0 && scene.hovered !== scene.chosen) drawRing(context, camera, scene.hovered, 2);
    drawScaleBar(context, camera, scene.umPerPx);
  }
}

// One path a region: faster than one a spot.
function outlineSpots(context, { camera, regions, ratio }) {
  const radius = camera.radius * camera.zoom, { screen } = camera;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.lineWidth = Math.max(1.2, 0.28 * radius);
  regions.colours.forEach((colour, step) => {
    context.beginPath();
    for (let spot = 0; spot < regions.steps.length; spot += 1) {
      if (regions.steps[spot] !== step || !camera.isSeen(spot, radius)) continue;
      context.moveTo(screen[2 * spot] + radius, screen[2 * spot + 1]);
      context.arc(screen[2 * spot], screen[2 * spot + 1], radius, 0, TURN);
    }
    context.strokeStyle = colour;
    context.stroke();
  });
}

// Dark on light, so that a ring is seen on every colour.
function strokeTwice(context, width) {
  context.strokeStyle = "#000000";
  context.lineWidth = width + 2;
  context.stroke();
  context.strokeStyle = "#ffffff";
  context.lineWidth = width;
  context.stroke();
}

function drawRing(context, camera, spot, width) {
  const x = camera.screen[2 * spot], y = camera.screen[2 * spot + 1];
  context.beginPath();
  context.arc(x, y, Math.max(camera.radius * camera.zoom, 3) + 2, 0, TURN);
  strokeTwice(context, width);
}

function drawEdges(context, camera, spot, neighbours) {
  const x = camera.screen[2 * spot], y = camera.screen[2 * spot + 1], radius = camera.radius * camera.zoom;
  context.beginPath();
  for (const other of neighbours) { // from rim to rim: both spots keep showing their colours
    const dx = camera.screen[2 * other] - x, dy = camera.screen[2 * other + 1] - y;
    const share = Math.min(0.5, radius / Math.hypot(dx, dy));
    context.moveTo(x + share * dx, y + share * dy);
    context.lineTo(x + (1 - share) * dx, y + (1 - share) * dy);
  }
  strokeTwice(context, 1.2);
}

function drawScaleBar(context, camera, umPerPx) {
  const { um, length } = camera.scaleBar(umPerPx);
  const text = um >= 1000 ? `${um / 1000} mm` : `${um} µm`, bottom = camera.size.height - 12;
  context.fillStyle = "rgba(255, 255, 255, 0.85)";
  context.fillRect(8, bottom - 20, Math.max(length, 44) + 14, 27);
  context.fillStyle = "#000000";
  context.fillRect(15, bottom, length, 3);
  context.font = "11px system-ui, sans-serif";
  context.fillText(text, 15, bottom - 6);
}
