// The camera: a guide frame, what is wrong with the picture in it, and pictures one after the other.

import { judge } from "./gradability.js";
import { text } from "./texts.js";

const SHARE = 0.92; // of the picture's shorter side that the frame takes
const PAUSE_MS = 400;
const REST = 3; // so many times longer than it takes, looking at a picture waits: the page stays quick

const $ = (id) => document.getElementById(id);

// The centred part of a picture with the shape of the network's input: [left, top, width, height] in its pixels.
export function guideBox([width, height], [inputHeight, inputWidth]) {
  const scale = SHARE * Math.min(width / inputWidth, height / inputHeight);
  const w = Math.round(inputWidth * scale), h = Math.round(inputHeight * scale);
  return [Math.floor((width - w) / 2), Math.floor((height - h) / 2), w, h];
}

/**
 * The camera view. taken(blob, name) is called for every picture, and awaited before the next is looked at; failed(error)
 * if no picture can be looked at.
 */
export class Camera {
  constructor(model, taken, failed) {
    this.model = model;
    this.taken = taken;
    this.failed = failed;
    this.count = 0;
    this.stream = null;
    this.opening = false;
    this.busy = Promise.resolve();
    $("shoot").addEventListener("click", () => this.shoot());
    $("close").addEventListener("click", () => this.close());
  }

  async open() {
    if (this.opening) return;
    this.opening = true;
    this.stop(); // a second stream would leave the first one running
    try {
      await this.start();
    } catch (error) {
      this.stop();
      throw error;
    } finally {
      this.opening = false;
    }
  }

  async start() {
    this.stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1920 } } });
    this.count = 0;
    $("taken").textContent = "";
    $("video").srcObject = this.stream;
    await $("video").play();
    $("viewfinder").hidden = false;
    this.placeGuide();
    $("viewfinder").scrollIntoView({ block: "start" });
    $("shoot").focus();
    this.watch(this.stream).catch(this.failed);
  }

  stop() {
    this.stream?.getTracks().forEach((track) => track.stop());
    this.stream = null;
    $("viewfinder").hidden = true;
  }

  close() {
    this.stop();
    $("camera").focus();
  }

  box() {
    const { videoWidth, videoHeight } = $("video");
    return guideBox([videoWidth, videoHeight], this.model.metadata.image_size);
  }

  placeGuide() {
    const { videoWidth, videoHeight } = $("video"), [left, top, width, height] = this.box();
    const share = (value, whole) => `${(100 * value) / whole}%`;
    Object.assign($("guide").style, { left: share(left, videoWidth), top: share(top, videoHeight),
      width: share(width, videoWidth), height: share(height, videoHeight) });
  }

  // What is in the frame, in the camera's resolution.
  canvas() {
    const [left, top, width, height] = this.box();
    const canvas = new OffscreenCanvas(width, height);
    canvas.getContext("2d").drawImage($("video"), left, top, width, height, 0, 0, width, height);
    return canvas;
  }

  // The same as decode() would give it.
  image() {
    const canvas = this.canvas(), { width, height } = canvas;
    return { width, height, rgba: canvas.getContext("2d").getImageData(0, 0, width, height).data };
  }

  async watch(stream) {
    let shown = null;
    while (this.stream === stream) {
      const start = performance.now();
      await this.busy;
      if (this.stream !== stream) return;
      const judged = await judge(this.image(), this.model);
      if (this.stream !== stream) return;
      if (judged.key !== shown) {
        $("frame").textContent = judged.text;
        $("frame").dataset.state = judged.key;
        shown = judged.key;
      }
      await new Promise((resolve) => setTimeout(resolve, Math.max(PAUSE_MS, REST * (performance.now() - start))));
    }
  }

  shoot() {
    const number = ++this.count, blob = this.canvas().convertToBlob({ type: "image/png" });
    $("taken").textContent = text("camera.taken", { count: number });
    const name = `camera-${new Date().toISOString().slice(0, 19).replace(/:/g, "-")}-${number}.png`;
    this.busy = this.busy.then(async () => this.taken(await blob, name));
    return this.busy;
  }
}
