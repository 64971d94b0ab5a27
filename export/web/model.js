// The exported network in the browser: opening and checking its files, and running it on an image.

import { isWebGPUSupported, loadAndCompile, loadLiteRt, Tensor } from "@litertjs/core";
import { decode, placeImage } from "./image.js";
import { readMetadata } from "./metadata.js";
import { place } from "./placement.js";
import { interpret } from "./prediction.js";
import { backgroundOf, regionBox, regionMask } from "./roi.js";
import { text } from "./texts.js";

const MODEL = "model.tflite";
const LOCATOR = "locator.tflite";
const EXAMPLE = "../example.png";
const INPUT = "image";
const SAME_NUMBERS = 1e-3; // largest difference between the accelerators, of any output

async function runNetwork(network, metadata, seen) {
  const [height, width] = metadata.image_size;
  const values = metadata.input_type === "uint8" ? Uint8Array.from(seen, (v) => Math.round(v)) : seen;
  const input = new Tensor(values, [1, height, width, 3]);
  const tensors = await network.run({ [INPUT]: input });
  const outputs = {};
  for (const [name, tensor] of Object.entries(tensors)) {
    outputs[name] = Float32Array.from(await tensor.data());
    tensor.delete();
  }
  input.delete();
  return outputs;
}

/** The largest difference between two sets of outputs; infinite where one is missing or not a number. */
export function largestDifference(first, second) {
  let largest = 0;
  for (const [name, values] of Object.entries(first)) {
    if (second[name]?.length !== values.length) return Infinity;
    values.forEach((value, i) => {
      const difference = Math.abs(value - second[name][i]);
      largest = difference <= largest ? largest : Number.isNaN(difference) ? Infinity : difference;
    });
  }
  return largest;
}

// The graphics unit may compute in float16, or not know an operation: it is used only where it gives the processor's
// numbers for the example.
async function onGraphics(data, metadata, processor, example) {
  if (!isWebGPUSupported()) return null;
  let network = null;
  try {
    network = await loadAndCompile(data, { accelerator: "webgpu" });
    const seen = placeImage(example, place(metadata.card.fit ?? "stretch", [example.height, example.width], metadata.image_size));
    const expected = await runNetwork(processor, metadata, seen);
    if (largestDifference(expected, await runNetwork(network, metadata, seen)) <= SAME_NUMBERS) return network;
  } catch (error) {
    console.warn(`WebGPU is not used: ${error.message}`);
  }
  network?.delete();
  return null;
}

async function open(name, example) {
  const response = await fetch(`../${name}`);
  if (!response.ok) throw new Error(text("file.http", { name, status: response.status }));
  const data = new Uint8Array(await response.arrayBuffer());
  const metadata = await readMetadata(data, name);
  const processor = await loadAndCompile(data, { accelerator: "wasm" });
  const graphics = await onGraphics(data, metadata, processor, example);
  if (graphics) processor.delete();
  const network = graphics ?? processor;
  let last = Promise.resolve();
  const run = (seen) => { // one after the other: the camera's picture may still be looked at
    const next = last.then(() => runNetwork(network, metadata, seen));
    last = next.catch(() => null);
    return next;
  };
  return { metadata, accelerator: graphics ? "webgpu" : "wasm", run };
}

/** The bundle's example image, as a Blob. */
export async function readExample() {
  const response = await fetch(EXAMPLE);
  if (!response.ok) throw new Error(text("file.http", { name: "example.png", status: response.status }));
  return response.blob();
}

/** The network of the bundle, with its locator where it has one. */
export class Model {
  constructor(network, locator) {
    this.network = network;
    this.locator = locator;
    this.metadata = network.metadata;
    this.card = network.metadata.card;
  }

  static async open() {
    await loadLiteRt(new URL("litert/", import.meta.url).href);
    const example = await decode(await readExample());
    const network = await open(MODEL, example), { roi } = network.metadata.card;
    if (!roi) return new Model(network, null);
    const locator = await open(LOCATOR, example);
    if (locator.metadata.weights_sha256 !== roi.locator_sha256) throw new Error(text("file.locator", { name: LOCATOR }));
    return new Model(network, locator);
  }

  // Where an image lies in the network's input: all of it, or the part around the region that the locator finds.
  async place(image) {
    const original = [image.height, image.width];
    const { image_size: size } = this.metadata, { fit = "stretch", roi } = this.card;
    if (!roi) return place(fit, original, size);
    const { image_size: wholeSize, card } = this.locator.metadata;
    const placement = place(card.fit, original, wholeSize);
    const outputs = await this.locator.run(placeImage(image, placement));
    const box = regionBox(regionMask(outputs.mask_probability, card, roi.region), placement, roi.margin);
    const background = backgroundOf(outputs.mask_probability, card, roi.region);
    const around = { placement, uncertainty: outputs.mask_uncertainty, background, region: roi.region || "region", box };
    return { ...place(fit, original, size, box), around };
  }

  /** The prediction for a decoded image of a name; see interpret(). */
  async predict(image, name) {
    const placement = await this.place(image);
    return interpret(await this.network.run(placeImage(image, placement)), placement, this.card, name);
  }

  /** A decoded image as the network reads it. */
  async see(image) {
    return placeImage(image, await this.place(image));
  }

  /** How like the training images an image is, as see() gives it. */
  async familiarity(seen) {
    return (await this.network.run(seen)).familiarity[0];
  }
}
