// One result on the page.

import { classColour, css, drawOverlay, drawUncertainty, paintBlob } from "./drawing.js";
import { greyPng } from "./png.js";
import { english, text } from "./texts.js";
import { inWords, outlineInWords } from "./words.js";

const CANVASES = ["overlay", "uncertainty", "doubt"];
const $ = (id) => document.getElementById(id);

function swatch(colour) {
  const square = document.createElement("span");
  square.className = "swatch";
  if (colour) square.style.background = colour;
  else square.classList.add("uncertain");
  return square;
}

function showClass(json, card) {
  const { sure, right, advice } = inWords(json, card);
  $("sure").textContent = sure;
  $("right").textContent = right;
  $("advice").textContent = advice;
  $("class").textContent = text("class.line", { class: json.class,
    probability: json.class_probability[json.class].toFixed(3), confidence: json.class_confidence.toFixed(3) });
  const parts = Object.entries(json.class_belief).map(([name, b], i) => [text("belief", { class: name }), b, css(classColour(i + 3))]);
  parts.push([text("uncertainty.class"), json.class_uncertainty, null]);
  $("mass").replaceChildren(...parts.map(([, value, colour]) => {
    const bar = document.createElement("span");
    bar.style.flex = `${value} 0 0`;
    if (colour) bar.style.background = colour;
    else bar.className = "uncertain";
    return bar;
  }));
  const words = parts.map(([name, value]) => text("share", { name, value: value.toFixed(3) }));
  $("mass").setAttribute("aria-label", words.join(", "));
  $("mass-legend").replaceChildren(...parts.map(([, , colour], i) => {
    const item = document.createElement("li");
    item.append(swatch(colour), words[i]);
    return item;
  }));
}

// A measured value, with its interval where the bundle has one.
function withInterval(value, interval, written) {
  if (!interval) return written(value);
  return text("interval", { value: written(value), low: written(interval[0]), high: written(interval[1]) });
}

function showRegions(json, card) {
  const quality = json.mask_quality;
  $("quality").hidden = !quality;
  $("regions").replaceChildren(...Object.entries(json.pixels).map(([name, { area, area_interval: interval }]) => {
    const row = document.createElement("tr");
    const head = document.createElement("th");
    head.scope = "row";
    head.textContent = name;
    const cells = [withInterval(area, interval, (pixels) => Math.round(pixels).toLocaleString(document.documentElement.lang))];
    if (quality) cells.push(outlineInWords(quality[name]));
    row.append(head, ...cells.map((words) => {
      const cell = document.createElement("td");
      cell.textContent = words;
      return cell;
    }));
    return row;
  }));
  $("legend").replaceChildren(...card.pixel_classes.slice(1).map((name, i) => {
    const item = document.createElement("span");
    item.append(swatch(css(classColour(i + 1))), name);
    return item;
  }));
  const ratio = json.vertical_cup_to_disc_ratio;
  const shown = withInterval(ratio, json.vertical_cup_to_disc_ratio_interval, (number) => number?.toFixed(2));
  $("ratio").textContent = ratio === undefined ? "" : text("ratio", { ratio: shown });
}

function labelPictures(json, name) {
  const found = Object.entries(json.pixels).map(([region, { area }]) => text("overlay.region", { region, area })).join(", ");
  const mean = (value) => ({ mean: value.toFixed(3) });
  $("overlay").setAttribute("aria-label", text("overlay", { name, found }));
  $("uncertainty").setAttribute("aria-label", text("uncertainty.label", mean(json.mask_uncertainty)));
  $("doubt").setAttribute("aria-label", text("doubt.label", mean(1 - json.mask_confidence)));
}

/** Draws a new prediction; its pictures, as files, are {mask, overlay, uncertainty, doubt} -> Blob. */
export async function drawPictures({ mask, uncertainty, confidence }, image) {
  const { width, height } = image;
  drawOverlay($("overlay"), image, mask);
  drawUncertainty($("uncertainty"), width, height, uncertainty);
  drawUncertainty($("doubt"), width, height, confidence.map((c) => 1 - c));
  const blobs = await Promise.all(CANVASES.map((id) => new Promise((resolve) => $(id).toBlob(resolve))));
  return { mask: await greyPng(mask, width, height), ...Object.fromEntries(CANVASES.map((id, i) => [id, blobs[i]])) };
}

/** Draws the pictures of a kept result. */
export const drawKept = (files) => Promise.all(CANVASES.map((id) => paintBlob($(id), files[id])));

/** The reason of a decision in the user's language; of a result of another bundle, or of an older one, as it is kept. */
const reasonOf = ({ json, reason }) => (reason && english(reason.key, reason.values) === json.reason
  ? text(reason.key, reason.values) : json.reason);

/** Shows everything of a result (store.js) but its pictures. */
export function showResult(result) {
  const { json, name, card } = result;
  $("result").hidden = false;
  $("decision").dataset.action = json.decision;
  $("action").textContent = text(`decision.${json.decision}`);
  $("reason").textContent = `${reasonOf(result)}.`;
  $("name").textContent = name;
  showClass(json, card);
  showRegions(json, card);
  labelPictures(json, name);
}
