// All results in one ZIP file, with the file names of `uml-tf predict`.

import { Zip, ZipPassThrough } from "fflate";

const TABLE = "results.csv", JSON_ENDING = ".json";
const PICTURES = { mask: "_mask.png", overlay: "_overlay.png", uncertainty: "_uncertainty.png", doubt: "_doubt.png" };
const COLUMNS = ["file", "image", "time", "class", "class_confidence", "decision", "reason"];

const stemOf = (name) => name.replace(/\.[^.]*$/, "");

const endingOf = (name) => name.slice(stemOf(name).length);

// A stem for every name with which no file of the ZIP has another's name, even where file systems ignore case.
function distinct(names) {
  const used = new Set([TABLE]);
  return names.map((name) => {
    const plain = stemOf(name).replace(/[/\\]/g, "_");
    const endings = [endingOf(name), ...Object.values(PICTURES), JSON_ENDING];
    const files = (stem) => endings.map((ending) => (stem + ending).toLowerCase());
    let stem = plain;
    for (let n = 2; files(stem).some((file) => used.has(file)); n++) stem = `${plain}-${n}`;
    files(stem).forEach((file) => used.add(file));
    return stem;
  });
}

// A value that a spreadsheet takes for text, never for a formula.
function cell(value) {
  const plain = String(value).replace(/^[=+\-@\t\r]/, "'$&");
  return /[",\n\r]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
}

function summary(results, stems) {
  const rows = results.map(({ name, time, json }, i) => ({ ...json, file: stems[i] + JSON_ENDING, image: name, time }));
  return [COLUMNS, ...rows.map((row) => COLUMNS.map((column) => row[column]))]
    .map((row) => row.map(cell).join(",") + "\r\n").join("");
}

function filesOf({ name, json, files }, stem) {
  const pictures = Object.entries(PICTURES).map(([part, ending]) => [stem + ending, files[part]]);
  const text = new Blob([JSON.stringify(json, null, 1)]);
  return [[stem + endingOf(name), files.image], ...pictures, [stem + JSON_ENDING, text]];
}

/** A Blob with everything of some results (store.js), and results.csv, a table of them. */
export async function archive(results) {
  const parts = [];
  let failed = null;
  const zip = new Zip((error, data) => {
    failed ??= error;
    if (data) parts.push(new Blob([data])); // a browser may hold Blobs on disk
  });
  const add = async (name, blob) => {
    const file = new ZipPassThrough(name); // pictures are compressed already
    zip.add(file);
    file.push(new Uint8Array(await blob.arrayBuffer()), true);
  };
  const stems = distinct(results.map(({ name }) => name));
  for (const [i, result] of results.entries()) {
    for (const [name, blob] of filesOf(result, stems[i])) await add(name, blob);
  }
  await add(TABLE, new Blob([summary(results, stems)]));
  zip.end();
  if (failed) throw failed;
  return new Blob(parts, { type: "application/zip" });
}
