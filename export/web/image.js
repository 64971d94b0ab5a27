// Images as the network reads them: RGB from 0 to 255, resized as in training.

import { text } from "./texts.js";

const SMALLEST_SIDE = 8;
const PNG_SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const PNG_BIT_DEPTH = 24; // place of this byte in every PNG

// Browsers reduce 16 bits to 8 without a word; the Python runtime refuses such images, and so does this page.
async function checkDepth(blob) {
  const head = new Uint8Array(await blob.slice(0, PNG_BIT_DEPTH + 1).arrayBuffer());
  if (PNG_SIGNATURE.every((byte, i) => head[i] === byte) && head[PNG_BIT_DEPTH] > 8) {
    throw new Error(text("image.depth", { bits: head[PNG_BIT_DEPTH] }));
  }
}

/** Decodes a Blob to {width, height, rgba}: EXIF orientation applied, colour profiles ignored. */
export async function decode(blob) {
  await checkDepth(blob);
  let bitmap;
  try {
    bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  } catch {
    throw new Error(text("image.undecodable"));
  }
  const { width, height } = bitmap;
  if (Math.min(width, height) < SMALLEST_SIDE) {
    throw new Error(text("image.small", { width, height, least: SMALLEST_SIDE }));
  }
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const rgba = context.getImageData(0, 0, width, height).data;
  for (let i = 3; i < rgba.length; i += 4) {
    if (rgba[i] < 255) throw new Error(text("image.transparent"));
  }
  return { width, height, rgba };
}

// The source places and weights of a triangle filter for every target place; half-pixel centres.
function triangle(source, target) {
  const scale = source / target;
  const support = Math.max(scale, 1);
  return Array.from({ length: target }, (_, i) => {
    const centre = (i + 0.5) * scale;
    const first = Math.max(0, Math.ceil(centre - support - 0.5));
    const last = Math.min(source - 1, Math.floor(centre + support - 0.5));
    const weights = [];
    let sum = 0;
    for (let s = first; s <= last; s++) {
      const weight = Math.max(0, 1 - Math.abs(s + 0.5 - centre) / support);
      weights.push(weight);
      sum += weight;
    }
    return { first, weights: weights.map((w) => w / sum) };
  });
}

/**
 * The part of a decoded image that a placement (placement.js) says is read, resized with antialiasing into its place
 * in the input: Float32Array (height, width, 3), black where the input is padded.
 */
export function placeImage({ width, rgba }, { crop, size: [inputHeight, inputWidth], target }) {
  const rows = triangle(crop.height, target.height);
  const columns = triangle(crop.width, target.width);
  const out = new Float32Array(inputHeight * inputWidth * 3);
  const line = new Float64Array(crop.width * 3);
  rows.forEach(({ first, weights }, y) => {
    line.fill(0);
    weights.forEach((weight, k) => {
      const start = ((crop.top + first + k) * width + crop.left) * 4;
      for (let x = 0; x < crop.width; x++) {
        for (let c = 0; c < 3; c++) line[x * 3 + c] += weight * rgba[start + x * 4 + c];
      }
    });
    const place = (target.top + y) * inputWidth + target.left;
    columns.forEach((column, x) => {
      for (let c = 0; c < 3; c++) {
        let sum = 0;
        column.weights.forEach((weight, k) => (sum += weight * line[(column.first + k) * 3 + c]));
        out[(place + x) * 3 + c] = sum;
      }
    });
  });
  return out;
}

// For every place of an axis of the target the two nearest places of the source, and how far it lies between them.
function between(source, target) {
  return Array.from({ length: target }, (_, i) => {
    const at = Math.min(Math.max(((i + 0.5) * source) / target - 0.5, 0), source - 1);
    const low = Math.floor(at);
    return [low, Math.min(low + 1, source - 1), at - low];
  });
}

/**
 * Resizes maps of a given depth bilinearly from the input to the original image, without storing the result: calls
 * visit(place, values) for every pixel of the original that the network read, row by row.
 */
export function forEachRead(maps, depth, { original, crop, size, target }, visit) {
  const columns = between(target.width, crop.width);
  const values = new Float32Array(depth);
  between(target.height, crop.height).forEach(([top, bottom, down], y) => {
    columns.forEach(([left, right, across], x) => {
      for (let d = 0; d < depth; d++) {
        const at = (row, column) => maps[((target.top + row) * size[1] + target.left + column) * depth + d];
        const upper = at(top, left) * (1 - across) + at(top, right) * across;
        const lower = at(bottom, left) * (1 - across) + at(bottom, right) * across;
        values[d] = upper * (1 - down) + lower * down;
      }
      visit((crop.top + y) * original[1] + crop.left + x, values);
    });
  });
}
