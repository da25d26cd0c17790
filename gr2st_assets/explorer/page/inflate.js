"use strict";
// Unpacks gzip where the browser has no DecompressionStream. RFC 1951 and 1952, for the streams that `packing` writes:
// one member, no header fields.

const LENGTH_BASE = [3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131,
  163, 195, 227, 258];
const LENGTH_BITS = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
const DISTANCE_BASE = [1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049,
  3073, 4097, 6145, 8193, 12289, 16385, 24577];
const DISTANCE_BITS = [0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13];
const CODE_ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

// Canonical Huffman code: how many codes there are of each length, and their symbols in order.
function huffman(lengths) {
  const counts = new Uint16Array(16), symbols = new Uint16Array(lengths.length), next = new Uint16Array(16);
  for (const length of lengths) counts[length] += 1;
  counts[0] = 0;
  for (let length = 1; length < 15; length += 1) next[length + 1] = next[length] + counts[length];
  lengths.forEach((length, symbol) => { if (length) { symbols[next[length]] = symbol; next[length] += 1; } });
  return { counts, symbols };
}

class BitReader {
  constructor(bytes, position) { this.bytes = bytes; this.position = position; this.held = 0; this.n = 0; }
  bits(count) {
    while (this.n < count) { this.held |= this.bytes[this.position++] << this.n; this.n += 8; }
    const value = this.held & ((1 << count) - 1);
    this.held >>>= count;
    this.n -= count;
    return value;
  }
  symbol({ counts, symbols }) {
    let code = 0, first = 0, index = 0;
    for (let length = 1; length < 16; length += 1) {
      code |= this.bits(1);
      if (code - counts[length] < first) return symbols[index + code - first];
      index += counts[length];
      first = (first + counts[length]) << 1;
      code <<= 1;
    }
    throw new Error("damaged data: no such code");
  }
  align() { this.held = 0; this.n = 0; }
}

function fixedCodes() {
  const lengths = Array.from({ length: 288 }, (_, k) => (k < 144 ? 8 : k < 256 ? 9 : k < 280 ? 7 : 8));
  return [huffman(lengths), huffman(Array(30).fill(5))];
}

function storedCodes(reader) {
  const nLiterals = reader.bits(5) + 257, nDistances = reader.bits(5) + 1, nCodes = reader.bits(4) + 4;
  const codeLengths = Array(19).fill(0);
  for (let k = 0; k < nCodes; k += 1) codeLengths[CODE_ORDER[k]] = reader.bits(3);
  const codes = huffman(codeLengths), lengths = [];
  while (lengths.length < nLiterals + nDistances) {
    const symbol = reader.symbol(codes);
    if (symbol < 16) { lengths.push(symbol); continue; }
    const value = symbol === 16 ? lengths[lengths.length - 1] : 0;
    const times = symbol === 16 ? 3 + reader.bits(2) : symbol === 17 ? 3 + reader.bits(3) : 11 + reader.bits(7);
    for (let k = 0; k < times; k += 1) lengths.push(value);
  }
  return [huffman(lengths.slice(0, nLiterals)), huffman(lengths.slice(nLiterals))];
}

function gunzip(bytes) {
  const end = bytes.length;
  const size = new DataView(bytes.buffer, bytes.byteOffset + end - 4, 4).getUint32(0, true);
  const out = new Uint8Array(size), reader = new BitReader(bytes, 10);
  let at = 0, last = 0;
  while (!last) {
    last = reader.bits(1);
    const kind = reader.bits(2);
    if (kind === 0) {
      reader.align();
      const length = bytes[reader.position] | (bytes[reader.position + 1] << 8);
      out.set(bytes.subarray(reader.position + 4, reader.position + 4 + length), at);
      reader.position += 4 + length;
      at += length;
      continue;
    }
    const [literals, distances] = kind === 1 ? fixedCodes() : storedCodes(reader);
    for (let symbol = reader.symbol(literals); symbol !== 256; symbol = reader.symbol(literals)) {
      if (symbol < 256) { out[at++] = symbol; continue; }
      const length = LENGTH_BASE[symbol - 257] + reader.bits(LENGTH_BITS[symbol - 257]);
      const code = reader.symbol(distances);
      const back = DISTANCE_BASE[code] + reader.bits(DISTANCE_BITS[code]);
      for (let k = 0; k < length; k += 1, at += 1) out[at] = out[at - back];
    }
  }
  return out;
}
