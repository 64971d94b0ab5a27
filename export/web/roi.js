// The region of interest: which part of an image the network reads, by the mask of a locator that reads all of it.
// The same whole numbers as uml_tf/runtime/roi.py.

import { nearest } from "./placement.js";
import { regionMembers } from "./regions.js";

const SMALLEST_SIDE = 8;

// The pixel classes of the region; all but the background where it has no name.
function membersOf({ pixel_classes: names, unions }, region) {
  return region ? Object.fromEntries(regionMembers({ pixel_classes: names, unions }))[region]
    : names.slice(1).map((_, i) => i + 1);
}

/** The probability that a locator gives to anything but the region, of every pixel of its input. */
export function backgroundOf(probability, card, region) {
  const depth = card.pixel_classes.length, members = membersOf(card, region);
  return Float32Array.from({ length: probability.length / depth }, (_, i) =>
    1 - members.reduce((sum, c) => sum + probability[i * depth + c], 0));
}

/** Which pixels of a locator's input show the region: Uint8Array of 0 and 1. */
export function regionMask(probability, card, region) {
  const names = card.pixel_classes, members = membersOf(card, region);
  const mask = new Uint8Array(probability.length / names.length);
  for (let i = 0; i < mask.length; i++) {
    let best = 0;
    for (let c = 1; c < names.length; c++) {
      if (probability[i * names.length + c] > probability[i * names.length + best]) best = c;
    }
    mask[i] = members.includes(best) ? 1 : 0;
  }
  return mask;
}

// The largest part of the mask whose pixels touch each other, as first and last rows and columns; null without any.
function largestPart(mask, [h, w]) {
  const seen = new Uint8Array(mask.length), waiting = [];
  let largest = null;
  for (let start = 0; start < mask.length; start++) {
    if (!mask[start] || seen[start]) continue;
    const part = { area: 0, top: h, bottom: -1, left: w, right: -1 };
    seen[start] = 1;
    waiting.push(start);
    while (waiting.length) {
      const i = waiting.pop(), x = i % w, y = (i - x) / w;
      part.area++;
      part.top = Math.min(part.top, y);
      part.bottom = Math.max(part.bottom, y);
      part.left = Math.min(part.left, x);
      part.right = Math.max(part.right, x);
      for (let v = Math.max(y - 1, 0); v <= Math.min(y + 1, h - 1); v++) {
        for (let u = Math.max(x - 1, 0); u <= Math.min(x + 1, w - 1); u++) {
          const next = v * w + u;
          if (!mask[next] || seen[next]) continue;
          seen[next] = 1;
          waiting.push(next);
        }
      }
    }
    if (!largest || part.area > largest.area) largest = part;
  }
  return largest;
}

// First pixel and number of pixels of a side around a centre, inside an axis of a length.
function within(centre, side, length) {
  const pixels = Math.min(Math.max(nearest(side), SMALLEST_SIDE), length);
  return [Math.min(Math.max(nearest(centre - pixels / 2), 0), length - pixels), pixels];
}

/** The square around the region that a mask of the locator's input shows, in pixels of the image; null without any. */
export function regionBox(mask, { original, crop, size, target }, margin) {
  const shown = new Uint8Array(target.height * target.width);
  for (let y = 0; y < target.height; y++) {
    const start = (target.top + y) * size[1] + target.left;
    shown.set(mask.subarray(start, start + target.width), y * target.width);
  }
  const part = largestPart(shown, [target.height, target.width]);
  if (!part) return null;
  const down = crop.height / target.height, across = crop.width / target.width;
  const rows = part.bottom - part.top + 1, columns = part.right - part.left + 1;
  const side = Math.max(rows * down, columns * across) * (1 + 2 * margin);
  const [top, height] = within(crop.top + (part.top + rows / 2) * down, side, original[0]);
  const [left, width] = within(crop.left + (part.left + columns / 2) * across, side, original[1]);
  return { top, left, height, width };
}
