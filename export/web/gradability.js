// Whether a picture is worth taking: how bright and how sharp it is as the network reads it.

import { text } from "./texts.js";

const FAMILIAR = 0.5; // as in prediction.js
const FLAT = 1e-3;
const DARK = 0.2, BRIGHT = 0.8; // of the brightest, and of the darkest, twentieth of the pixels
const EXTREME = 0.05;
const SPREADS = 3; // so many standard deviations below the training images' mean is blurred

const average = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

function greyOf(seen) {
  return Float32Array.from({ length: seen.length / 3 }, (_, i) => (seen[3 * i] + seen[3 * i + 1] + seen[3 * i + 2]) / 765);
}

function halved(grey, [height, width]) {
  const out = new Float32Array((height / 2) * (width / 2));
  for (let y = 0; y < height; y += 2) {
    for (let x = 0; x < width; x += 2) {
      const i = y * width + x;
      out[(y / 2) * (width / 2) + x / 2] = (grey[i] + grey[i + 1] + grey[i + width] + grey[i + width + 1]) / 4;
    }
  }
  return out;
}

/**
 * Logarithms of the mean absolute Laplacian and gradient of the grey value, at two scales: the numbers of
 * uml_tf/runtime/density.py. seen: Float32Array (height, width, 3) from 0 to 255, both sides even.
 */
export function sharpness(seen, [height, width]) {
  let grey = greyOf(seen), h = height, w = width;
  const terms = [];
  for (let scale = 0; scale < 2; scale++) {
    const laplacian = [], gradient = [];
    for (let y = 0; y < h - 1; y++) {
      for (let x = 0; x < w - 1; x++) {
        const i = y * w + x;
        gradient.push(Math.abs(grey[i + w] - grey[i]) + Math.abs(grey[i + 1] - grey[i]));
        if (x && y) laplacian.push(Math.abs(4 * grey[i] - grey[i - 1] - grey[i + 1] - grey[i - w] - grey[i + w]));
      }
    }
    terms.push(Math.log(average(laplacian) + FLAT), Math.log(average(gradient) + FLAT));
    [grey, h, w] = [halved(grey, [h, w]), h / 2, w / 2];
  }
  return terms;
}

// An array as the model card packs it: little-endian float32 in base64.
function unpacked({ data }) {
  const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(4 * i, true));
}

function isBlurred(seen, size, card) {
  const density = card.trust?.density;
  if (!density) return false; // nothing says how sharp the training images were
  const mean = unpacked(density.sharpness.mean), scale = unpacked(density.sharpness.scale);
  return sharpness(seen, size)[0] < mean[0] - SPREADS * scale[0];
}

/** What is wrong with a picture as the network reads it: "dark", "bright", "blurred", or null. */
export function fault(seen, size, card) {
  const grey = greyOf(seen).sort();
  if (grey[Math.floor(grey.length * (1 - EXTREME))] < DARK) return "dark";
  if (grey[Math.floor(grey.length * EXTREME)] > BRIGHT) return "bright";
  return isBlurred(seen, size, card) ? "blurred" : null;
}

/** {key, text}: what the camera says of a decoded picture. The network is asked only about one without a fault. */
export async function judge(image, model) {
  const seen = await model.see(image);
  const key = fault(seen, model.metadata.image_size, model.card) ??
    ((await model.familiarity(seen)) < FAMILIAR ? "unlike" : "good");
  return { key, text: text(`frame.${key}`) };
}
