// Metadata of the .tflite file, and the check that the file is unchanged since its export.

import { text as words } from "./texts.js";

const NAME = "uml_tf";
const FORMAT = 8;
const DIGEST_START = '{"sha256": "'.length;
const DIGEST_LENGTH = 64;

// Reads as much of the FlatBuffer format as leads to the metadata: fields of tables, and vectors.
class Table {
  constructor(view, place) {
    this.view = view;
    this.place = place;
  }

  field(index) {
    const table = this.place - this.view.getInt32(this.place, true);
    const slot = 4 + 2 * index;
    if (slot >= this.view.getUint16(table, true)) return 0;
    const offset = this.view.getUint16(table + slot, true);
    return offset ? this.place + offset : 0;
  }

  target(index) {
    const place = this.field(index);
    return place ? place + this.view.getUint32(place, true) : 0;
  }

  tables(index) {
    const vector = this.target(index);
    const count = vector ? this.view.getUint32(vector, true) : 0;
    return Array.from({ length: count }, (_, i) => {
      const place = vector + 4 + 4 * i;
      return new Table(this.view, place + this.view.getUint32(place, true));
    });
  }

  bytes(index) {
    const vector = this.target(index);
    if (!vector) return null;
    const length = this.view.getUint32(vector, true);
    return new Uint8Array(this.view.buffer, this.view.byteOffset + vector + 4, length);
  }
}

const MODEL = { buffers: 4, metadata: 6 };
const BUFFER_DATA = 0;
const METADATA = { name: 0, buffer: 1 };

function metadataBytes(data) {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const model = new Table(view, view.getUint32(0, true));
  for (const entry of model.tables(MODEL.metadata)) {
    if (new TextDecoder().decode(entry.bytes(METADATA.name)) !== NAME) continue;
    const place = entry.field(METADATA.buffer);
    return model.tables(MODEL.buffers)[place ? view.getUint32(place, true) : 0].bytes(BUFFER_DATA);
  }
  return null;
}

/** Returns the metadata of a file (Uint8Array) of a name after comparing all of it with its SHA-256; throws an Error. */
export async function readMetadata(data, name) {
  if (new TextDecoder().decode(data.subarray(4, 8)) !== "TFL3") throw new Error(words("file.not_tflite", { name }));
  let text;
  try {
    text = metadataBytes(data);
  } catch {
    throw new Error(words("file.damaged", { name }));
  }
  if (!text) throw new Error(words("file.no_metadata", { name }));
  if (!globalThis.crypto?.subtle) {
    throw new Error(words("file.insecure"));
  }
  const written = new TextDecoder().decode(text.subarray(DIGEST_START, DIGEST_START + DIGEST_LENGTH));
  const zeroed = data.slice();
  const start = text.byteOffset - data.byteOffset + DIGEST_START;
  zeroed.fill("0".charCodeAt(0), start, start + DIGEST_LENGTH);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", zeroed));
  const found = Array.from(digest, (b) => b.toString(16).padStart(2, "0")).join("");
  if (found !== written) throw new Error(words("file.changed", { name }));
  const metadata = JSON.parse(new TextDecoder().decode(text));
  if (metadata.format > FORMAT) throw new Error(words("file.format", { name, format: metadata.format, newest: FORMAT }));
  return metadata;
}
