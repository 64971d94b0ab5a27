// Mask quality: the Dice that the mask of a region would get, estimated from what is said of its pixels; and the
// intervals around areas and ratio that follow from it. The same numbers as uml_tf/runtime/mask_quality.py and intervals.py.

const THRESHOLDS = 50;
const WITHIN = [1e-3, 1 - 1e-4];
const LEAST_UNCERTAINTY = 1e-6;
const LEAST_DOUBT = 0.01;
const RATIO = "vertical_cup_to_disc_ratio";

// What the masks of other thresholds are drawn from, of sum 1 over the classes of each pixel; scale: see evidence_scale
// in uml_tf/runtime/mask_quality.py.
function outline({ mask_probability: probability, mask_belief: belief, mask_uncertainty: uncertainty }, depth, scale) {
  if (scale === null) return probability;
  const shares = new Float32Array(belief.length);
  for (let pixel = 0, start = 0; start < belief.length; pixel++, start += depth) {
    const factor = depth / Math.max(uncertainty[pixel], LEAST_UNCERTAINTY) / scale;
    let most = -Infinity, total = 0;
    for (let c = start; c < start + depth; c++) most = Math.max(most, belief[c] * factor);
    for (let c = start; c < start + depth; c++) total += shares[c] = Math.exp(belief[c] * factor - most);
    for (let c = start; c < start + depth; c++) shares[c] /= total;
  }
  return shares;
}

// Mean Dice of a region of the mask with the masks that other thresholds of the outline would draw, over the part of
// the input that shows the image: null where no pixel is predicted as the region.
function expectedDice(outlined, probability, depth, members, { size, target }) {
  const everywhere = new Float64Array(THRESHOLDS + 1), common = new Float64Array(THRESHOLDS + 1);
  let area = 0;
  for (let y = target.top; y < target.top + target.height; y++) {
    for (let x = target.left; x < target.left + target.width; x++) {
      const start = (y * size[1] + x) * depth;
      let best = 0, own = 0;
      for (let c = 1; c < depth; c++) if (probability[start + c] > probability[start + best]) best = c;
      for (const c of members) own += outlined[start + c];
      // How many of the thresholds (k + .5) / THRESHOLDS lie below it.
      const level = Math.min(Math.max(Math.floor(own * THRESHOLDS + 0.5), 0), THRESHOLDS);
      everywhere[level]++;
      if (!members.includes(best)) continue;
      common[level]++;
      area++;
    }
  }
  let all = 0, both = 0, total = 0;
  for (let k = THRESHOLDS; k > 0; k--) {
    all += everywhere[k];
    both += common[k];
    total += (2 * both) / (area + all);
  }
  return area ? total / THRESHOLDS : null;
}

function estimate(expected, { slope, bias }) {
  const kept = Math.min(Math.max(expected, WITHIN[0]), WITHIN[1]);
  return 1 / (1 + Math.exp(-(slope * (Math.log(kept) - Math.log1p(-kept)) + bias)));
}

/** Region -> estimated Dice, null for one that the mask does not show; regions without a fit are left out. */
export function maskQuality(outputs, placement, regions, card) {
  const members = Object.fromEntries(regions), depth = card.pixel_classes.length, outlines = new Map();
  return Object.fromEntries(Object.entries(card.mask_quality ?? {}).filter(([name]) => members[name]).map(([name, fit]) => {
    const scale = fit.evidence_scale ?? null;
    if (!outlines.has(scale)) outlines.set(scale, outline(outputs, depth, scale));
    const expected = expectedDice(outlines.get(scale), outputs.mask_probability, depth, members[name], placement);
    return [name, expected === null ? null : estimate(expected, fit)];
  }));
}

// [low, high] around a value; null where the validation images were too few for the fit's level.
function around({ quantile }, value, doubt, most) {
  if (quantile === null) return null;
  const half = quantile * doubt;
  return [Math.max(value - half, 0), Math.min(value + half, most)];
}

/** The interval of a region's area; undefined where the card has none, null where nothing was found to measure. */
export function areaInterval(region, area, quality, pixels, card) {
  const fit = card.intervals?.[`area_${region}`], estimated = quality[region] ?? null;
  if (!fit) return undefined;
  if (!area || estimated === null) return null;
  return around(fit, area, area * Math.max(1 - estimated, LEAST_DOUBT), pixels);
}

/** The interval of the cup-to-disc ratio; undefined where the card has none. */
export function ratioInterval(ratio, quality, card) {
  const fit = card.intervals?.[RATIO];
  if (!fit) return undefined;
  const parts = ["cup", "disc" in quality ? "disc" : "rim"].map((name) => 1 - (quality[name] ?? 0));
  return around(fit, ratio, Math.max(parts[0] + parts[1], LEAST_DOUBT), 1);
}
