"use strict";
// From values to colours. Colour maps come with the page: viridis and magma for amounts, RdBu_r for signed values.

const N_COLOURS = 256;

function coloursOf(hex) {
  return Array.from({ length: N_COLOURS }, (_, k) => `#${hex.slice(6 * k, 6 * k + 6)}`);
}

// Share of sorted values below, interpolated as numpy does.
function percentile(sorted, share) {
  const place = share * (sorted.length - 1), below = Math.floor(place);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
}

function spread(low, high) {
  return { low, high: high > low ? high : low + (Math.abs(low) || 1) };
}

// 2nd to 98th percentile; the whole range where these are equal, as of a gene that is seen in few spots.
function amountLimits(values) {
  const sorted = Float32Array.from(values).sort();
  const low = percentile(sorted, 0.02), high = percentile(sorted, 0.98);
  return high > low ? { low, high, isWhole: false } : { ...spread(sorted[0], sorted[sorted.length - 1]), isWhole: true };
}

function signedLimits(values) {
  const sorted = Float32Array.from(values, Math.abs).sort();
  const reach = percentile(sorted, 0.98) || sorted[sorted.length - 1] || 1;
  return { low: -reach, high: reach };
}

// Step of the colour map that each value has.
function stepsOf(values, { low, high }) {
  const factor = N_COLOURS / (high - low);
  return Uint8Array.from(values, (value) => Math.max(0, Math.min(N_COLOURS - 1, Math.floor((value - low) * factor))));
}

function shown(value) {
  return value.toFixed(3);
}
