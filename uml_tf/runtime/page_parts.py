"""Style and script of ``index.html``."""

STYLE = """
:root { color-scheme: light dark; --back: #f6f7f9; --front: #1b1f24; --card: #fff; --line: #c9ced6;
  --soft: #57606a;
  --accept: #0b6b3a; --refer: #8a4b00; --ungradable: #5b3fa0; --unreadable: #a3152a; --focus: #0a58ca; }
@media (prefers-color-scheme: dark) { :root { --back: #14171b; --front: #e6e9ee; --card: #1f242b;
  --line: #3b434e;
  --soft: #a6b0bd; --accept: #5fd694; --refer: #f0b35c; --ungradable: #bda6ff; --unreadable: #ff8b98;
  --focus: #7db1ff; } }
* { box-sizing: border-box; }
body { margin: 0; font: 15px/1.45 system-ui, sans-serif; background: var(--back); color: var(--front); }
header, main, footer { max-width: 1200px; margin: auto; padding: 12px 16px; }
h1 { font-size: 1.4rem; margin: .3em 0; }
header p, footer { color: var(--soft); margin: .4em 0; }
.filters { display: flex; flex-wrap: wrap; gap: 8px; position: sticky; top: 0; padding: 8px 0; background: var(--back); }
button { font: inherit; color: inherit; background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: 6px 12px; cursor: pointer; }
button:focus-visible { outline: 3px solid var(--focus); outline-offset: 1px; }
.filters [aria-pressed=true] { background: var(--front); color: var(--back); border-color: var(--front); }
ul { list-style: none; margin: 0; padding: 0; display: grid; gap: 12px;
  grid-template-columns: repeat(auto-fill, minmax(168px, 1fr)); }
li { content-visibility: auto; contain-intrinsic-size: 168px 260px; }
li[hidden] { display: none; }
.card { display: flex; flex-direction: column; gap: 4px; width: 100%; height: 100%; padding: 8px; text-align: left; }
.card img, .no-picture { width: 100%; aspect-ratio: 1; object-fit: contain; background: #000; border-radius: 4px; }
.no-picture { display: grid; place-items: center; color: #bbb; }
.name { font-weight: 600; overflow-wrap: anywhere; }
.found { color: var(--soft); overflow-wrap: anywhere; }
.decision { font-weight: 600; }
.accept { color: var(--accept); } .refer { color: var(--refer); } .ungradable { color: var(--ungradable); }
.unreadable { color: var(--unreadable); }
dialog { max-width: min(1100px, 96vw); border: 1px solid var(--line); border-radius: 12px; background: var(--card);
  color: var(--front); }
dialog::backdrop { background: rgb(0 0 0 / 55%); }
dialog h2 { margin: 0 0 .3em; font-size: 1.15rem; overflow-wrap: anywhere; }
.pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(220px, 1fr)); gap: 10px; }
figure { margin: 0; } figure img { width: 100%; background: #000; }
figcaption { color: var(--soft); }
table { margin: 10px 0; border-collapse: collapse; }
th { text-align: left; font-weight: 400; color: var(--soft); padding: 2px 18px 2px 0; }
td { text-align: right; font-variant-numeric: tabular-nums; }
@media print { .filters, form { display: none; } }
"""

SCRIPT = """
'use strict';
const items = [...document.querySelectorAll('#cards > li')];
const filters = [...document.querySelectorAll('[data-filter]')];
const dialog = document.getElementById('detail');
let opened = null;

const visible = () => items.filter((item) => !item.hidden);
const button = (item) => item.querySelector('.card');

function filter(name) {
  for (const item of items) item.hidden = name !== '' && item.dataset.decision !== name;
  for (const one of filters) one.setAttribute('aria-pressed', String(one.dataset.filter === name));
  document.getElementById('none').hidden = visible().length > 0;
}

function open(item) {
  opened = item;
  const content = item.querySelector('.more').cloneNode(true);
  content.hidden = false;
  content.querySelector('h2').id = 'detail-name';
  for (const one of content.querySelectorAll('[id^=reason]')) one.removeAttribute('id');
  for (const picture of content.querySelectorAll('[data-src]')) picture.src = picture.dataset.src;
  document.getElementById('detail-content').replaceChildren(content);
  if (!dialog.open) dialog.showModal();
}

function columns(shown) {
  const top = shown[0].offsetTop;
  const next = shown.findIndex((item) => item.offsetTop !== top);
  return next < 0 ? shown.length : next;
}

function target(key, place, shown) {
  switch (key) {
    case 'ArrowRight': return place + 1;
    case 'ArrowLeft': return place - 1;
    case 'ArrowDown': return place + columns(shown);
    case 'ArrowUp': return place - columns(shown);
    case 'Home': return 0;
    case 'End': return shown.length - 1;
    default: return null;
  }
}

document.addEventListener('keydown', (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  const chosen = filters.find((one) => one.dataset.key === event.key);
  if (chosen && !dialog.open) { filter(chosen.dataset.filter); return; }
  const shown = visible();
  if (shown.length === 0) return;
  const here = opened ?? document.activeElement.closest('#cards > li');
  const place = here ? shown.indexOf(here) : -1;
  const found = target(event.key, place, shown);
  if (found === null) return;
  event.preventDefault();
  const item = shown[Math.min(Math.max(found, 0), shown.length - 1)];
  if (opened) open(item); else button(item).focus();
});
dialog.addEventListener('close', () => { const item = opened; opened = null; if (item) button(item).focus(); });
for (const one of filters) one.addEventListener('click', () => filter(one.dataset.filter));
for (const item of items) button(item).addEventListener('click', () => open(item));
"""
