// The prediction for one image, with the names and numbers of the Python runtime.

import { forEachRead } from "./image.js";
import { areaInterval, maskQuality, ratioInterval } from "./quality.js";
import { regionMembers } from "./regions.js";
import { english } from "./texts.js";

const FAMILIAR = 0.5; // least familiarity of a gradable image

// Evidence that contradicts itself, in [0, 1], of the belief masses.
function dissonance(belief) {
  let total = 0;
  belief.forEach((own, k) => {
    let balance = 0, rest = 1e-12;
    belief.forEach((other, j) => {
      if (j === k) return;
      balance += (2 * other * Math.min(own, other)) / (own + other + 1e-12);
      rest += other;
    });
    total += (own * balance) / rest;
  });
  return total;
}

function doubt(belief, uncertainty, names) {
  if (dissonance(belief) <= uncertainty) return ["reason.little", {}];
  const order = Array.from(belief.keys()).sort((a, b) => belief[b] - belief[a]);
  return ["reason.two", { first: names[order[0]], second: names[order[1]] }];
}

// [decision, the key of its reason in the texts, the values in it].
function decide(outputs, placement, card) {
  if (placement.around && !placement.around.box) {
    return ["refer", "reason.missing", { region: placement.around.region }];
  }
  const familiarity = outputs.familiarity[0];
  if (familiarity < FAMILIAR) {
    return ["ungradable", "reason.unlike", { familiarity: familiarity.toFixed(2) }];
  }
  if (card.accept_above === null) {
    return ["refer", "reason.never", { why: card.accept_reason || english("reason.unfitted") }];
  }
  const confidence = outputs.class_confidence[0];
  const values = { confidence: confidence.toFixed(3), bound: card.accept_above.toFixed(3) };
  if (confidence >= card.accept_above) return ["accept", "reason.accept", values];
  const [key, classes] = doubt(Array.from(outputs.class_belief), outputs.class_uncertainty[0], card.image_classes);
  return ["refer", key, { ...values, ...classes }];
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

// The confidence for each pixel's chosen class, and for the others what is left, as their probabilities: halfway between
// two sure pixels of different classes nothing is sure.
function chances({ mask_probability: probability, mask_confidence: confidence }, depth) {
  const found = new Float32Array(probability.length);
  for (let pixel = 0; pixel < confidence.length; pixel++) {
    const start = pixel * depth, chosen = argmax(probability.subarray(start, start + depth));
    let others = 0;
    for (let k = 0; k < depth; k++) if (k !== chosen) others += probability[start + k] + 1e-5;
    const share = (1 - confidence[pixel]) / others;
    for (let k = 0; k < depth; k++) {
      found[start + k] = k === chosen ? confidence[pixel] : (probability[start + k] + 1e-5) * share;
    }
  }
  return found;
}

/**
 * Turns the outputs for one image into {json, reason, mask, uncertainty, confidence}, the maps at original size. The
 * reason, {key, values}, is that of the JSON for any language.
 * outputs: name -> Float32Array of the contract; placement: of the original in the network's input. Where the network
 * did not read, the mask is background, the uncertainty the locator's, or 1 without one, and the confidence the
 * locator's probability of the background, or that of chance.
 */
export function interpret(outputs, placement, card, imageName) {
  const size = placement.original;
  const mask = new Uint8Array(size[0] * size[1]);
  const uncertainty = new Float32Array(mask.length).fill(1);
  const depth = card.pixel_classes.length;
  const confidence = new Float32Array(mask.length).fill(1 / depth);
  const { around } = placement;
  if (around) {
    forEachRead(around.uncertainty, 1, around.placement, (i, v) => (uncertainty[i] = v[0]));
    forEachRead(around.background, 1, around.placement, (i, v) => (confidence[i] = Math.max(v[0], 1 / depth)));
  }
  forEachRead(outputs.mask_probability, depth, placement, (i, v) => (mask[i] = argmax(v)));
  forEachRead(outputs.mask_uncertainty, 1, placement, (i, v) => (uncertainty[i] = v[0]));
  forEachRead(chances(outputs, depth), depth, placement, (i, v) => (confidence[i] = v[mask[i]]));
  const named = (values) => Object.fromEntries(card.image_classes.map((name, i) => [name, values[i]]));
  const regions = regionMembers(card), quality = maskQuality(outputs, placement, regions, card);
  const measured = ([name, members]) => {
    const region = regionOf(mask, members, size), interval = areaInterval(name, region.area, quality, mask.length, card);
    return [name, interval === undefined ? region : { ...region, area_interval: interval }];
  };
  const [decision, key, values] = decide(outputs, placement, card);
  const json = {
    image: imageName,
    class: card.image_classes[argmax(outputs.class_probability)],
    class_probability: named(outputs.class_probability),
    class_belief: named(outputs.class_belief),
    class_uncertainty: outputs.class_uncertainty[0],
    class_confidence: outputs.class_confidence[0],
    familiarity: outputs.familiarity[0],
    decision,
    reason: english(key, values),
    mask_uncertainty: uncertainty.reduce((a, b) => a + b, 0) / mask.length,
    mask_confidence: confidence.reduce((a, b) => a + b, 0) / mask.length,
    pixels: Object.fromEntries(regions.map(measured)),
  };
  if (Object.keys(quality).length) json.mask_quality = quality;
  const ratio = cupToDisc(mask, card.pixel_classes, size);
  if (ratio !== null) {
    json.vertical_cup_to_disc_ratio = ratio;
    const interval = ratioInterval(ratio, quality, card);
    if (interval !== undefined) json.vertical_cup_to_disc_ratio_interval = interval;
  }
  if (around) {
    const { region, box } = around;
    json.roi = { region, box: box && [box.left, box.top, box.width, box.height] };
  }
  return { json, reason: { key, values }, mask, uncertainty, confidence };
}
