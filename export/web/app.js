// The page: choose, drop or photograph images; the exported network runs here, in the browser.

import { Camera } from "./camera.js";
import { decode } from "./image.js";
import { Model, readExample } from "./model.js";
import { keepOffline } from "./offline.js";
import { listenToKept, listKept } from "./results.js";
import { save } from "./saving.js";
import { drawKept, drawPictures, showResult } from "./show.js";
import { keep } from "./store.js";
import { fillTexts, loadTexts, text } from "./texts.js";

const $ = (id) => document.getElementById(id);
let model, shown, bundle = null, last = Promise.resolve(), waiting = 0, failures = [];

// One after the other: two results on the same canvases would get each other's pictures.
const inTurn = (job) => (last = last.catch(() => null).then(job));

function say(words, isError = false) {
  $("status").textContent = words;
  $("status").toggleAttribute("data-error", isError);
}

function describeModel() {
  const { card, quantize, preset, image_size: [height, width], kept_by_force: forced, intended_use: use } = model.metadata;
  const { accelerator } = model.network;
  $("model").textContent = text("model", {
    preset, width, height,
    quantize: quantize === "none" ? "float32" : quantize,
    around: card.roi ? text("model.around", { region: card.roi.region || text("model.region") }) : "",
    dataset: card.dataset || text("model.unnamed"),
    run: card.run_id ? text("model.run", { run: card.run_id.slice(0, 8) }) : "",
    engine: text(`engine.${accelerator}`),
    forced: forced ? text("model.forced") : "",
  });
  $("model").dataset.accelerator = accelerator;
  $("use").textContent = use;
}

async function load() {
  const wanted = new URLSearchParams(location.search).getAll("lang");
  await loadTexts([...wanted, ...navigator.languages]);
  fillTexts(document);
  document.title = text("title");
  document.body.classList.add("loading");
  $("model").textContent = text("loading");
  model = await Model.open();
  describeModel();
  listen(); // before the buttons can be pressed
  for (const id of ["file", "camera", "example"]) $(id).disabled = false;
  $("camera").hidden = !navigator.mediaDevices?.getUserMedia;
  document.body.classList.remove("loading");
  await listKept(showKept, say).catch((error) => say(text("kept.failed", { message: error.message }), true));
}

async function keepResult(result) {
  try {
    await keep(result);
    await listKept(showKept, say);
  } catch (error) {
    failures.push(text("not_kept", { name: result.name, message: error.message }));
  }
}

// What a result needs of the card to be shown, also after another bundle has taken this one's place.
function cardOf({ pixel_classes, trust }) {
  return { pixel_classes, trust: { class_confidence: trust?.class_confidence ?? null } };
}

async function readNow(blob, name) {
  try {
    say(text("reading", { name }));
    const image = await decode(blob);
    const start = performance.now();
    const prediction = await model.predict(image, name), ms = Math.round(performance.now() - start);
    const files = { image: blob, ...(await drawPictures(prediction, image)) };
    const { json, reason } = prediction;
    shown = { name, time: new Date().toISOString(), bundle, card: cardOf(model.card), json, reason, files };
    showResult(shown);
    say(text("read", { name, width: image.width, height: image.height, ms }));
    await keepResult(shown);
  } catch (error) {
    $("result").hidden = true;
    failures.push(text("failed", { name, message: error.message }));
  }
}

// After the last of the waiting images: before, the next one's status would take the place.
function sayFailures() {
  if (failures.length) say(failures.join("\n"), true);
  failures = [];
}

function read(blob, name) {
  waiting++;
  return inTurn(async () => {
    await readNow(blob, name);
    if (--waiting === 0) sayFailures();
  });
}

const readAll = (files) => Promise.all(files.map((file) => read(file, file.name)));

const showKept = (result) => inTurn(() => showKeptNow(result));

async function showKeptNow(result) {
  shown = result;
  showResult(result);
  await drawKept(result.files);
  $("decision").scrollIntoView();
  $("action").focus();
}

function download() {
  const file = new Blob([JSON.stringify(shown.json, null, 1)], { type: "application/json" });
  save(file, `${shown.name.replace(/\.[^.]*$/, "")}.json`);
}

const cameraFailed = (error) => say(text("camera.failed", { message: error.message }), true);

function listen() {
  $("file").addEventListener("change", (event) => {
    const files = [...event.target.files];
    event.target.value = ""; // so that the same file can be chosen again
    readAll(files);
  });
  $("example").addEventListener("click", () => readExample().then((blob) => read(blob, "example.png"))
    .catch((error) => say(text("failed", { name: "example.png", message: error.message }), true)));
  $("download").addEventListener("click", download);
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dragging");
  });
  document.addEventListener("dragleave", () => document.body.classList.remove("dragging"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dragging");
    if (model) readAll([...event.dataTransfer.files]);
  });
  const camera = new Camera(model, read, cameraFailed);
  $("camera").addEventListener("click", () => camera.open().catch(cameraFailed));
  listenToKept(showKept, say);
}

const named = ({ version, hash }) => text("bundle", { version, hash: hash.slice(0, 12) });

function showOffline() {
  const failed = (message) => ($("offline").textContent = text("offline.failed", { message }));
  keepOffline({
    kept: (found) => {
      bundle = found;
      $("offline").textContent = text("offline.kept", { bundle: named(found) });
      $("offline").dataset.hash = found.hash;
    },
    failed,
    newer: (found, use) => {
      $("newer-text").textContent = text("offline.newer", { bundle: named(found) });
      $("newer").hidden = false;
      $("replace").addEventListener("click", use);
    },
  }).catch((error) => failed(error.message));
}

load().then(showOffline).catch((error) => {
  $("model").textContent = "";
  say(text("model.failed", { message: error.message }), true);
});
