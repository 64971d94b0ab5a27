// The list of the results that are kept in this browser.

import { archive } from "./archive.js";
import { save } from "./saving.js";
import { allKept, remove, removeAll } from "./store.js";
import { text } from "./texts.js";

const $ = (id) => document.getElementById(id);
let addresses = [];

function button(key, name, action) {
  const one = document.createElement("button");
  one.type = "button";
  one.textContent = text(`kept.${key}.button`);
  one.setAttribute("aria-label", text(`kept.${key}`, { name }));
  one.addEventListener("click", action);
  return one;
}

function thumbnail({ files }) {
  const picture = document.createElement("img");
  picture.src = URL.createObjectURL(files.overlay);
  picture.alt = ""; // the words beside it say what it is
  addresses.push(picture.src);
  return picture;
}

function entry(result, show, say) {
  const item = document.createElement("li"), words = document.createElement("div"), head = document.createElement("strong");
  const { name, json } = result;
  item.dataset.id = result.id;
  head.textContent = text(`decision.${json.decision}`);
  head.dataset.action = json.decision;
  const file = document.createElement("span"), line = document.createElement("span");
  file.textContent = name;
  line.textContent = text("kept.line", { class: json.class, time: new Date(result.time).toLocaleString(document.documentElement.lang) });
  words.append(head, file, line);
  const drop = async () => {
    await remove(result.id);
    await listKept(show, say);
    say(text("kept.deleted", { name }));
    $("kept-heading").focus();
  };
  item.append(thumbnail(result), words, button("show", name, () => show(result)), button("delete", name, drop));
  return item;
}

/** Fills the list. show(result) is called to show one, say(text) to tell the user something. */
export async function listKept(show, say) {
  const results = (await allKept()).reverse();
  addresses.forEach((address) => URL.revokeObjectURL(address));
  addresses = [];
  $("kept-list").replaceChildren(...results.map((result) => entry(result, show, say)));
  $("kept-none").hidden = results.length > 0;
  $("export").disabled = $("clear").disabled = results.length === 0;
}

/** Makes the buttons for all results work. */
export function listenToKept(show, say) {
  $("export").addEventListener("click", async () => {
    const results = await allKept(), file = `uml-tf-${new Date().toISOString().slice(0, 10)}.zip`;
    save(await archive(results), file);
    say(text("kept.exported", { file, count: results.length }));
  });
  $("clear").addEventListener("click", async () => {
    const count = (await allKept()).length;
    if (!window.confirm(text("kept.clear.sure", { count }))) return;
    await removeAll();
    await listKept(show, say);
    say(text("kept.cleared"));
  });
}
