// Mask quality and intervals of what is measured, as the Python runtime estimates them (mask_quality.py, intervals.py).

const THRESHOLDS = 50, WITHIN = [1e-3, 1 - 1e-4], LEAST_DOUBT = 0.01;
const RATIO = "vertical_cup_to_disc_ratio";

// Mean Dice of a region of the mask with the masks that other thresholds would draw; null for an empty region.
function expectedDice(probability, depth, members, { size, target }) {
  const everywhere = new Float64Array(THRESHOLDS + 1), common = new Float64Array(THRESHOLDS + 1);
  let area = 0;
  for (let y = target.top; y < target.top + target.height; y++) {
    for (let x = target.left; x < target.left + target.width; x++) {
      const at = (y * size[1] + x) * depth;
      let own = 0, best = 0;
      for (let d = 0; d < depth; d++) if (probability[at + d] > probability[at + best]) best = d;
      for (const member of members) own += probability[at + member];
      const level = Math.min(Math.max(Math.floor(own * THRESHOLDS + 0.5), 0), THRESHOLDS);
      everywhere[level]++;
      if (members.includes(best)) {
        common[level]++;
        area++;
      }
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

function fitted({ slope, bias }, expected) {
  const kept = Math.min(Math.max(expected, WITHIN[0]), WITHIN[1]);
  return 1 / (1 + Math.exp(-(slope * Math.log(kept / (1 - kept)) + bias)));
}

/** Region -> estimated Dice, null for an empty one; of the regions ([name, class indices]) that have a fit. */
export function maskQuality(probability, depth, regions, placement, fits = {}) {
  return Object.fromEntries(Object.entries(fits).map(([name, fit]) => {
    const expected = expectedDice(probability, depth, new Map(regions).get(name), placement);
    return [name, expected === null ? null : fitted(fit, expected)];
  }));
}

function around({ quantile }, value, doubt, most) {
  if (quantile === null) return null;
  const half = quantile * doubt;
  return [Math.max(value - half, 0), Math.min(value + half, most)];
}

/** The interval of a region's area, null where there is none to give, undefined where the card has none. */
export function areaInterval(card, quality, name, area, pixels) {
  const fit = card.intervals?.[`area_${name}`];
  const estimate = quality[name] ?? null;
  if (!fit) return undefined;
  return area && estimate !== null ? around(fit, area, area * Math.max(1 - estimate, LEAST_DOUBT), pixels) : null;
}

/** The same of the cup-to-disc ratio. */
export function ratioInterval(card, quality, ratio) {
  const fit = card.intervals?.[RATIO];
  if (!fit) return undefined;
  const doubts = ["cup", "disc" in quality ? "disc" : "rim"].map((name) => 1 - (quality[name] ?? 0));
  return around(fit, ratio, Math.max(doubts[0] + doubts[1], LEAST_DOUBT), 1);
}

const LOOK_AGAIN = 0.8;

/** "Estimated Dice: disc 0.95, cup 0.71: look again", or "". */
export function qualityText(quality = {}) {
  const words = Object.entries(quality).filter(([, value]) => value !== null)
    .map(([name, value]) => `${name} ${value.toFixed(2)}${value < LOOK_AGAIN ? ": look again" : ""}`);
  return words.length ? `Estimated Dice of the mask: ${words.join(", ")}` : "";
}
