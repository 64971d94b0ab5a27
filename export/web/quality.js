// Mask quality: the Dice that the mask of a region would get, estimated from what is said of its pixels; and the
// intervals around areas and ratio that follow from it. The same numbers as uml_tf/runtime/mask_quality.py and intervals.py.

const THRESHOLDS = 50;
const WITHIN = [1e-3, 1 - 1e-4];
const LEAST_UNCERTAINTY = 1e-6;
const EVIDENCE_OF_A_NAT = 4;
const LEAST_DOUBT = 0.01;
const RATIO = "vertical_cup_to_disc_ratio";

// For a pixel of the input: what the masks of other thresholds are drawn from, of sum 1 over the classes.
const OUTLINE = {
  probability: ({ mask_probability: probability }, depth) => (pixel) => probability.subarray(pixel * depth, (pixel + 1) * depth),
  evidence: ({ mask_belief: belief, mask_uncertainty: uncertainty }, depth) => (pixel) => {
    const scale = depth / Math.max(uncertainty[pixel], LEAST_UNCERTAINTY) / EVIDENCE_OF_A_NAT;
    const own = Array.from(belief.subarray(pixel * depth, (pixel + 1) * depth), (value) => value * scale);
    const most = Math.max(...own), powers = own.map((value) => Math.exp(value - most));
    const total = powers.reduce((a, b) => a + b, 0);
    return powers.map((value) => value / total);
  },
};

// Mean Dice of a region of the mask with the masks that other thresholds of its own outline would draw, over the
// part of the input that shows the image: null where no pixel is predicted as the region.
function expectedDice(shares, members, { size, target }) {
  const everywhere = new Float64Array(THRESHOLDS + 1), common = new Float64Array(THRESHOLDS + 1);
  let area = 0;
  for (let y = target.top; y < target.top + target.height; y++) {
    for (let x = target.left; x < target.left + target.width; x++) {
      const of = shares(y * size[1] + x);
      let best = 0, own = 0;
      for (let c = 1; c < of.length; c++) if (of[c] > of[best]) best = c;
      for (const c of members) own += of[c];
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
  const members = Object.fromEntries(regions), depth = card.pixel_classes.length;
  return Object.fromEntries(Object.entries(card.mask_quality ?? {}).filter(([name]) => members[name]).map(([name, fit]) => {
    const expected = expectedDice(OUTLINE[fit.basis ?? "probability"](outputs, depth), members[name], placement);
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
