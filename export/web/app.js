// The page: choose, drop or photograph an image; the exported network runs here, in the browser.

import { loadAndCompile, loadLiteRt, Tensor } from "@litertjs/core";
import { classColour, css, drawOverlay, drawUncertainty } from "./drawing.js";
import { decode, placeImage } from "./image.js";
import { readMetadata } from "./metadata.js";
import { keepOffline } from "./offline.js";
import { place } from "./placement.js";
import { interpret } from "./prediction.js";
import { backgroundOf, regionBox, regionMask } from "./roi.js";

const MODEL = "model.tflite";
const LOCATOR = "locator.tflite";
const EXAMPLE = "../example.png";
const INPUT = "image";
const DOWNLOAD_KEPT_MS = 60000;
const TITLES = { accept: "Accept", refer: "Refer to a specialist", ungradable: "Ungradable: take another image" };

const $ = (id) => document.getElementById(id);
let model, locator, prediction, stream;

function showStatus(text, isError = false) {
  $("status").textContent = text;
  $("status").toggleAttribute("data-error", isError);
}

async function load() {
  document.body.classList.add("loading");
  await loadLiteRt(new URL("litert/", import.meta.url).href);
  const opened = await open(MODEL);
  const { metadata } = opened, { roi } = metadata.card;
  if (roi) {
    locator = await open(LOCATOR);
    if (locator.metadata.weights_sha256 !== roi.locator_sha256) {
      throw new Error(`${LOCATOR}: not the locator that the network was trained with`);
    }
  }
  model = opened;
  const { card, quantize, preset, image_size: [height, width] } = metadata;
  $("model").textContent = `${preset} network, ${quantize === "none" ? "float32" : quantize}, reads ${width} x ${height}${roi ? ` around the ${roi.region || "region"}` : ""}; ` +
    `trained on ${card.dataset || "unnamed data"}${card.run_id ? `, run ${card.run_id.slice(0, 8)}` : ""}` +
    (metadata.kept_by_force ? ". KEPT BY FORCE although it failed its fidelity check" : "");
  $("use").textContent = metadata.intended_use;
  for (const id of ["file", "camera", "example"]) $(id).disabled = false;
  $("camera").hidden = !navigator.mediaDevices?.getUserMedia;
  document.body.classList.remove("loading");
}

async function open(name) {
  const response = await fetch(`../${name}`);
  if (!response.ok) throw new Error(`${name}: HTTP ${response.status}`);
  const data = new Uint8Array(await response.arrayBuffer());
  const metadata = await readMetadata(data, name);
  return { metadata, network: await loadAndCompile(data, { accelerator: "wasm" }) };
}

async function run({ metadata, network }, seen) {
  const [height, width] = metadata.image_size;
  const values = metadata.input_type === "uint8" ? Uint8Array.from(seen, (v) => Math.round(v)) : seen;
  const input = new Tensor(values, [1, height, width, 3]);
  const tensors = await network.run({ [INPUT]: input });
  const outputs = {};
  for (const [name, tensor] of Object.entries(tensors)) {
    outputs[name] = await tensor.data();
    tensor.delete();
  }
  input.delete();
  return outputs;
}

// Where an image lies in the network's input: all of it, or the part around the region that the locator finds.
async function placementOf(image) {
  const original = [image.height, image.width];
  const { image_size: size, card: { fit = "stretch", roi } } = model.metadata;
  if (!roi) return place(fit, original, size);
  const { image_size: wholeSize, card } = locator.metadata;
  const placement = place(card.fit, original, wholeSize);
  const outputs = await run(locator, placeImage(image, placement));
  const box = regionBox(regionMask(outputs.mask_probability, card, roi.region), placement, roi.margin);
  const background = backgroundOf(outputs.mask_probability, card, roi.region);
  const around = { placement, uncertainty: outputs.mask_uncertainty, background, region: roi.region || "region", box };
  return { ...place(fit, original, size, box), around };
}

async function read(blob, name) {
  try {
    showStatus("Reading the image…");
    const image = await decode(blob);
    const start = performance.now();
    const placement = await placementOf(image);
    const seen = placeImage(image, placement);
    prediction = interpret(await run(model, seen), placement, model.metadata.card, name);
    show(image, name);
    showStatus(`${name}: ${image.width} x ${image.height} pixels, ${Math.round(performance.now() - start)} ms`);
  } catch (error) {
    $("result").hidden = true;
    showStatus(`${name}: ${error.message}`, true);
  }
}

function swatch(colour) {
  const square = document.createElement("span");
  square.className = "swatch";
  if (colour) square.style.background = colour;
  else square.classList.add("uncertain");
  return square;
}

function showClass(json) {
  $("class").textContent = `${json.class}, probability ${json.class_probability[json.class].toFixed(3)}, ` +
    `confidence ${json.class_confidence.toFixed(3)}`;
  const parts = Object.entries(json.class_belief).map(([name, b], i) => [`belief in ${name}`, b, css(classColour(i + 3))]);
  parts.push(["uncertainty", json.class_uncertainty, null]);
  $("mass").replaceChildren(...parts.map(([, value, colour]) => {
    const bar = document.createElement("span");
    bar.style.flex = `${value} 0 0`;
    if (colour) bar.style.background = colour;
    else bar.className = "uncertain";
    return bar;
  }));
  const words = parts.map(([name, value]) => `${name} ${value.toFixed(3)}`);
  $("mass").setAttribute("aria-label", words.join(", "));
  $("mass-legend").replaceChildren(...parts.map(([, , colour], i) => {
    const item = document.createElement("li");
    item.append(swatch(colour), words[i]);
    return item;
  }));
}

function showRegions(json) {
  const { pixel_classes: names } = model.metadata.card;
  $("regions").replaceChildren(...Object.entries(json.pixels).map(([name, { area }]) => {
    const row = document.createElement("tr");
    const head = document.createElement("th");
    head.scope = "row";
    head.textContent = name;
    const cell = document.createElement("td");
    cell.textContent = area.toLocaleString("en");
    row.append(head, cell);
    return row;
  }));
  $("legend").replaceChildren(...names.slice(1).flatMap((name, i) => [swatch(css(classColour(i + 1))), name]));
  const ratio = json.vertical_cup_to_disc_ratio;
  $("ratio").textContent = ratio === undefined ? "" : `Vertical cup-to-disc ratio ${ratio.toFixed(2)}`;
}

function show(image, name) {
  const { json, mask, uncertainty, confidence } = prediction;
  $("result").hidden = false;
  $("decision").dataset.action = json.decision;
  $("action").textContent = TITLES[json.decision];
  $("reason").textContent = `${json.reason}.`;
  drawOverlay($("overlay"), image, mask);
  const found = Object.entries(json.pixels).map(([region, { area }]) => `${region} ${area} pixels`).join(", ");
  $("overlay").setAttribute("aria-label", `${name} with its regions outlined: ${found}`);
  drawUncertainty($("uncertainty"), image.width, image.height, uncertainty);
  $("uncertainty").setAttribute("aria-label", `Uncertainty of every pixel, mean ${json.mask_uncertainty.toFixed(3)}`);
  drawUncertainty($("doubt"), image.width, image.height, confidence.map((c) => 1 - c));
  $("doubt").setAttribute("aria-label", `Doubt of every pixel, mean ${(1 - json.mask_confidence).toFixed(3)}`);
  showClass(json);
  showRegions(json);
}

function download() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(prediction.json, null, 1)], { type: "application/json" }));
  link.download = `${prediction.json.image.replace(/\.[^.]*$/, "")}.json`;
  link.click();
  // Not at once: a busy browser has not begun to read it by then, and the download would never come.
  setTimeout(() => URL.revokeObjectURL(link.href), DOWNLOAD_KEPT_MS);
}

async function openCamera() {
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  } catch (error) {
    showStatus(`Camera: ${error.message}`, true);
    return;
  }
  $("video").srcObject = stream;
  await $("video").play();
  $("viewfinder").hidden = false;
  $("shoot").focus();
}

function closeCamera() {
  stream?.getTracks().forEach((track) => track.stop());
  $("viewfinder").hidden = true;
  $("camera").focus();
}

async function shoot() {
  const { videoWidth, videoHeight } = $("video");
  const canvas = new OffscreenCanvas(videoWidth, videoHeight);
  canvas.getContext("2d").drawImage($("video"), 0, 0);
  closeCamera();
  await read(await canvas.convertToBlob({ type: "image/png" }), "camera.png");
}

async function readExample() {
  const response = await fetch(EXAMPLE);
  await read(await response.blob(), "example.png");
}

function listen() {
  $("file").addEventListener("change", (event) => {
    const [file] = event.target.files;
    event.target.value = ""; // so that the same file can be chosen again
    if (file) read(file, file.name);
  });
  $("example").addEventListener("click", readExample);
  $("camera").addEventListener("click", openCamera);
  $("shoot").addEventListener("click", shoot);
  $("close").addEventListener("click", closeCamera);
  $("download").addEventListener("click", download);
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dragging");
  });
  document.addEventListener("dragleave", () => document.body.classList.remove("dragging"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dragging");
    const [file] = event.dataTransfer.files;
    if (file && model) read(file, file.name);
  });
}

const named = ({ version, hash }) => `uml-tf ${version}, bundle ${hash.slice(0, 12)}`;

function showOffline() {
  keepOffline({
    kept: (bundle) => {
      $("offline").textContent = `${named(bundle)}. It is kept in this browser and works without a network.`;
      $("offline").dataset.hash = bundle.hash;
    },
    failed: (message) => ($("offline").textContent = `Not kept for use without a network: ${message}.`),
    newer: (bundle, use) => {
      $("newer").querySelector("span").textContent = `A new version is ready: ${named(bundle)}.`;
      $("newer").hidden = false;
      $("replace").addEventListener("click", use);
    },
  }).catch((error) => ($("offline").textContent = `Not kept for use without a network: ${error.message}.`));
}

listen();
load().then(showOffline).catch((error) => {
  $("model").textContent = "";
  showStatus(`The model cannot be used: ${error.message}`, true);
});
