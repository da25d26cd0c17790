"use strict";
// Draws thousands of round spots as pixels: in every browser many times faster than as many paths.

const SUBPIXELS = 4;

// Coverage of a disc, 0..255, whose centre lies (dx, dy) from that of the middle pixel.
function stampOf(radius, dx, dy) {
  const reach = Math.ceil(radius + 1), side = 2 * reach + 1, coverage = new Uint8Array(side * side);
  for (let row = 0; row < side; row += 1) {
    for (let column = 0; column < side; column += 1) {
      const distance = Math.hypot(column - reach - dx, row - reach - dy);
      coverage[row * side + column] = 255 * Math.max(0, Math.min(1, radius + 0.5 - distance));
    }
  }
  return { reach, side, coverage };
}

class Raster {
  constructor(canvas) {
    this.canvas = canvas;
    this.stamps = new Map();
  }
  stamp(radius, column, row) {
    if (radius !== this.radius) { this.stamps.clear(); this.radius = radius; }
    const key = row * SUBPIXELS + column;
    if (!this.stamps.has(key)) {
      const offset = (k) => (k + 0.5) / SUBPIXELS - 0.5;
      this.stamps.set(key, stampOf(radius, offset(column), offset(row)));
    }
    return this.stamps.get(key);
  }
  // Colour of spot k is `palette[steps[k]]`, as packed by `pixelOf`; 0 is not drawn.
  draw(camera, ratio, steps, palette) {
    const { width, height } = this.canvas, { screen } = camera;
    if (!this.image || this.image.width !== width || this.image.height !== height) {
      this.image = new ImageData(width, height);
      this.pixels = new Uint32Array(this.image.data.buffer);
    }
    this.pixels.fill(0);
    const radius = Math.max(camera.radius * camera.zoom * ratio, 0.7);
    for (let k = 0; k < steps.length; k += 1) {
      const x = screen[2 * k] * ratio, y = screen[2 * k + 1] * ratio;
      if (palette[steps[k]] === 0 || x < -radius || y < -radius || x > width + radius || y > height + radius) continue;
      const left = Math.floor(x), top = Math.floor(y);
      const stamp = this.stamp(radius, Math.floor((x - left) * SUBPIXELS), Math.floor((y - top) * SUBPIXELS));
      this.put(stamp, left, top, palette[steps[k]] & 0xffffff);
    }
    this.canvas.getContext("2d").putImageData(this.image, 0, 0);
  }
  put({ reach, side, coverage }, x, y, colour) {
    const { pixels, image } = this;
    const first = Math.max(0, reach - x), last = Math.min(side, image.width - x + reach);
    for (let row = Math.max(0, reach - y); row < Math.min(side, image.height - y + reach); row += 1) {
      const start = (y + row - reach) * image.width + x - reach;
      for (let column = first; column < last; column += 1) {
        const covered = coverage[row * side + column];
        // where the rims of neighbours meet, the one that covers more wins
        if (covered > pixels[start + column] >>> 24) pixels[start + column] = ((covered << 24) | colour) >>> 0;
      }
    }
  }
}

// `#rrggbb` as a pixel of an ImageData seen as little-endian 32-bit numbers; 0 for no colour.
function pixelOf(colour) {
  if (colour === null) return 0;
  const number = parseInt(colour.slice(1), 16);
  return (0xff000000 | ((number & 0xff) << 16) | (number & 0xff00) | (number >> 16)) >>> 0;
}
