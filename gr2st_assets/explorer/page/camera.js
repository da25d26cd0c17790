"use strict";
// What part of the section all panels show. Positions are pixels of the whole image, x right, y down.

class Camera {
  constructor(page) {
    const [width, height] = page.slide.size;
    this.box = { x: 0, y: 0, width, height };
    this.positions = page.positions;
    this.radius = page.spotUm / page.slide.umPerPx / 2;
    this.screen = new Float32Array(page.positions.length);
    this.size = { width: 1, height: 1 };
    this.fit();
  }
  fit() {
    this.x = this.box.x + this.box.width / 2;
    this.y = this.box.y + this.box.height / 2;
    this.zoom = this.wholeZoom();
    this.isWhole = true;
    this.project();
  }
  wholeZoom() {
    return 0.98 * Math.min(this.size.width / this.box.width, this.size.height / this.box.height);
  }
  resize(width, height) {
    this.size = { width, height };
    if (this.isWhole) this.fit(); else this.project();
  }
  move(dx, dy) {
    this.x -= dx / this.zoom;
    this.y -= dy / this.zoom;
    this.isWhole = false;
    this.project();
  }
  // Zoom so that what is at (x, y) of a panel stays there.
  zoomAt(factor, x, y) {
    const whole = this.wholeZoom();
    const zoom = Math.max(0.5 * whole, Math.min(60 * whole, this.zoom * factor));
    const dx = x - this.size.width / 2, dy = y - this.size.height / 2;
    this.x += dx / this.zoom - dx / zoom;
    this.y += dy / this.zoom - dy / zoom;
    this.zoom = zoom;
    this.isWhole = false;
    this.project();
  }
  // Place of each spot in a panel, in CSS pixels.
  project() {
    const left = this.size.width / 2 - this.x * this.zoom, top = this.size.height / 2 - this.y * this.zoom;
    this.origin = { left, top };
    for (let k = 0; k < this.screen.length; k += 2) {
      this.screen[k] = this.positions[k] * this.zoom + left;
      this.screen[k + 1] = this.positions[k + 1] * this.zoom + top;
    }
  }
  isSeen(spot, margin) {
    const x = this.screen[2 * spot], y = this.screen[2 * spot + 1];
    return x > -margin && y > -margin && x < this.size.width + margin && y < this.size.height + margin;
  }
  // The spot at a place of a panel, -1 for none.
  spotAt(x, y) {
    let best = -1, least = Math.max(1.2 * this.radius * this.zoom, 7) ** 2;
    for (let k = 0; k < this.screen.length; k += 2) {
      const distance = (this.screen[k] - x) ** 2 + (this.screen[k + 1] - y) ** 2;
      if (distance < least) { least = distance; best = k / 2; }
    }
    return best;
  }
  // A round length that is about a fifth of a panel.
  scaleBar(umPerPx) {
    const most = (0.25 * this.size.width * umPerPx) / this.zoom;
    const power = 10 ** Math.floor(Math.log10(most));
    const um = power * (most >= 5 * power ? 5 : most >= 2 * power ? 2 : 1);
    return { um, length: (um / umPerPx) * this.zoom };
  }
}
