// The prediction for one image, with the names and numbers of the Python runtime.

import { forEachRead } from "./image.js";
import { shownOf } from "./placement.js";
import { regionMembers } from "./regions.js";

const STATISTICS = ["brightness", "contrast", "redness", "blueness", "sharpness", "edge strength"];
const FLAT = 1e-3;

function imageStatistics(seen, [h, w]) {
  const grey = new Float64Array(h * w);
  const sums = [0, 0, 0];
  for (let i = 0; i < grey.length; i++) {
    for (let c = 0; c < 3; c++) {
      const value = seen[i * 3 + c] / 255;
      grey[i] += value / 3;
      sums[c] += value;
    }
  }
  const mean = grey.reduce((a, b) => a + b, 0) / grey.length;
  const variance = grey.reduce((a, b) => a + (b - mean) ** 2, 0) / grey.length;
  const [red, green, blue] = sums.map((s) => s / grey.length);
  let laplacian = 0, across = 0, down = 0;
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < w; x++) {
      const i = y * w + x;
      if (y + 1 < h) down += Math.abs(grey[i + w] - grey[i]);
      if (x + 1 < w) across += Math.abs(grey[i + 1] - grey[i]);
      if (y > 0 && x > 0 && y + 1 < h && x + 1 < w) {
        laplacian += Math.abs(4 * grey[i] - grey[i - w] - grey[i + w] - grey[i - 1] - grey[i + 1]);
      }
    }
  }
  laplacian /= (h - 2) * (w - 2);
  const gradient = down / ((h - 1) * w) + across / (h * (w - 1));
  return [mean, Math.sqrt(variance), red - green, blue - green, Math.log(laplacian + FLAT), Math.log(gradient + FLAT)];
}

function decide(uncertainty, seen, placement, card) {
  if (placement.around && !placement.around.box) {
    return ["refer", `no ${placement.around.region} was found, so the whole image was read`];
  }
  if (card.gradability) {
    const { mean, deviation, limit } = card.gradability;
    const shown = [placement.target.height, placement.target.width];
    const distances = imageStatistics(shownOf(seen, placement), shown).map((value, i) => (value - mean[i]) / deviation[i]);
    const score = Math.max(...distances.map(Math.abs));
    const worst = distances.findIndex((d) => Math.abs(d) === score);
    if (score > limit) {
      const side = distances[worst] > 0 ? "above" : "below";
      return ["ungradable", `${STATISTICS[worst]} is ${side} that of the training images by ${score.toFixed(1)} ` +
        `standard deviations (limit ${limit.toFixed(1)})`];
    }
  }
  if (card.refer_above === null) return ["refer", "the model carries no referral threshold"];
  const found = `class uncertainty ${uncertainty.toFixed(3)}`;
  if (uncertainty > card.refer_above) return ["refer", `${found} is above ${card.refer_above.toFixed(3)}`];
  return ["accept", `${found} is at most ${card.refer_above.toFixed(3)}`];
}

function regionOf(mask, members, [height, width]) {
  let area = 0, left = width, right = -1, top = height, bottom = -1;
  for (let i = 0; i < mask.length; i++) {
    if (!members.includes(mask[i])) continue;
    const x = i % width, y = (i - x) / width;
    area++;
    left = Math.min(left, x);
    right = Math.max(right, x);
    top = Math.min(top, y);
    bottom = Math.max(bottom, y);
  }
  return { area, box: area ? [left, top, right - left + 1, bottom - top + 1] : null };
}

function cupToDisc(mask, names, size) {
  const cup = names.indexOf("cup"), rim = names.indexOf("rim");
  if (cup < 0 || rim < 0) return null;
  const disc = regionOf(mask, [cup, rim], size).box;
  const inner = regionOf(mask, [cup], size).box;
  return disc ? (inner ? inner[3] / disc[3] : 0) : null;
}

const argmax = (values) => values.reduce((best, value, i) => (value > values[best] ? i : best), 0);

/**
 * Turns the outputs for one image into {json, mask, uncertainty}, the maps at original size.
 * outputs: name -> Float32Array of the contract; seen: the image as the network read it; placement: of the original in
 * it. Where the network did not read, the mask is background and the uncertainty the locator's, or 1 without one.
 */
export function interpret(outputs, seen, placement, card, imageName) {
  const size = placement.original;
  const mask = new Uint8Array(size[0] * size[1]);
  const uncertainty = new Float32Array(mask.length).fill(1);
  const { around } = placement;
  if (around) forEachRead(around.uncertainty, 1, around.placement, (i, v) => (uncertainty[i] = v[0]));
  const depth = card.pixel_classes.length;
  forEachRead(outputs.mask_probability, depth, placement, (i, v) => (mask[i] = argmax(v)));
  forEachRead(outputs.mask_uncertainty, 1, placement, (i, v) => (uncertainty[i] = v[0]));
  const named = (values) => Object.fromEntries(card.image_classes.map((name, i) => [name, values[i]]));
  const [decision, reason] = decide(outputs.class_uncertainty[0], seen, placement, card);
  const json = {
    image: imageName,
    class: card.image_classes[argmax(outputs.class_probability)],
    class_probability: named(outputs.class_probability),
    class_belief: named(outputs.class_belief),
    class_uncertainty: outputs.class_uncertainty[0],
    decision,
    reason,
    mask_uncertainty: uncertainty.reduce((a, b) => a + b, 0) / mask.length,
    pixels: Object.fromEntries(regionMembers(card).map(([name, m]) => [name, regionOf(mask, m, size)])),
  };
  const ratio = cupToDisc(mask, card.pixel_classes, size);
  if (ratio !== null) json.vertical_cup_to_disc_ratio = ratio;
  if (around) {
    const { region, box } = around;
    json.roi = { region, box: box && [box.left, box.top, box.width, box.height] };
  }
  return { json, mask, uncertainty };
}
