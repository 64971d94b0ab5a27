// How sure the network is, and how good its outlines are, in words.

import { text } from "./texts.js";

const LEVELS = [[0.95, "very"], [0.85, "yes"], [0.7, "fairly"], [0, "no"]];
// [least estimated Dice, level], best first; the export writes those of uml_tf/runtime/outline_words.py here.
const OUTLINES = null;
const HUNDRED = 100, MOST = 99; // nothing is right 100 times of 100

/** Sentences about a prediction's JSON for whoever holds the phone: {sure, right, advice}; right is "" if none applies. */
export function inWords(json, card) {
  const advice = text(`do.${json.decision}`);
  if (json.decision === "ungradable") return { sure: text("sure.none"), right: "", advice };
  const confidence = json.class_confidence;
  const [, found] = LEVELS.find(([least]) => confidence >= least);
  // What may be accepted was checked to be right often enough.
  const level = json.decision === "accept" && found === "no" ? "fairly" : found;
  // Only a fitted confidence may be read as a chance.
  const right = card.trust?.class_confidence
    ? text("right.of_hundred", { right: Math.min(Math.floor(HUNDRED * confidence), MOST) })
    : text("right.unchecked");
  return { sure: text(`sure.${level}`, { class: json.class }), right, advice };
}

/** How far the outline of a region may be used, of its estimated Dice; null or undefined where there is none. */
export function outlineInWords(dice) {
  if (dice === undefined) return text("quality.unchecked");
  if (dice === null) return text("quality.none");
  const [, level] = OUTLINES.find(([least]) => dice >= least);
  return text("quality.line", { words: text(`quality.${level}`), dice: dice.toFixed(2) });
}
