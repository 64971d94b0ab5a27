// All results in one ZIP file, with the file names of `uml-tf predict`.

import { Zip, ZipPassThrough } from "fflate";

const ENDINGS = { mask: "_mask.png", overlay: "_overlay.png", uncertainty: "_uncertainty.png", doubt: "_doubt.png" };
const COLUMNS = ["file", "image", "time", "class", "class_confidence", "decision", "reason"];

const stemOf = (name) => name.replace(/\.[^.]*$/, "");

// A stem for every name that no other has, even where file systems ignore case.
function distinct(names) {
  const used = new Set();
  return names.map((name) => {
    const plain = stemOf(name).replace(/[/\\]/g, "_");
    let stem = plain;
    for (let n = 2; used.has(stem.toLowerCase()); n++) stem = `${plain}-${n}`;
    used.add(stem.toLowerCase());
    return stem;
  });
}

// A value that a spreadsheet takes for text, never for a formula.
function cell(value) {
  const plain = String(value).replace(/^[=+\-@\t\r]/, "'$&");
  return /[",\n\r]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
}

function summary(results, stems) {
  const rows = results.map(({ name, time, json }, i) => ({ ...json, file: `${stems[i]}.json`, image: name, time }));
  return [COLUMNS, ...rows.map((row) => COLUMNS.map((column) => row[column]))]
    .map((row) => row.map(cell).join(",") + "\r\n").join("");
}

function filesOf({ name, json, files }, stem) {
  const ending = name.slice(stemOf(name).length);
  const pictures = Object.entries(ENDINGS).map(([part, end]) => [stem + end, files[part]]);
  const text = new Blob([JSON.stringify(json, null, 1)]);
  return [[stem + ending, files.image], ...pictures, [`${stem}.json`, text]];
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
  await add("results.csv", new Blob([summary(results, stems)]));
  zip.end();
  if (failed) throw failed;
  return new Blob(parts, { type: "application/zip" });
}
