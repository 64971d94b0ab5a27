// The service worker: keeps the whole bundle in the browser, so that the page works without a network. One cache holds
// one bundle; it is filled only if every file has the SHA-256 of the export, and removed once another bundle is in use.

// The export writes here {hash, version, files: {path relative to the page: SHA-256}}.
const BUNDLE = null;

const SCOPE = self.registration.scope;
const PREFIX = `uml-tf ${SCOPE} `;
const CACHE = PREFIX + BUNDLE.hash;
// LiteRT.js has a build for browsers with relaxed SIMD and one for those without; the page says which is needed.
const UNUSED = new URL(self.location).searchParams.has("relaxed") ? "/litert_wasm_compat_" : "/litert_wasm_internal";
const LISTED = Object.keys(BUNDLE.files).filter((path) => !path.includes(UNUSED));
const pathOf = new Map(LISTED.map((path) => [new URL(path, SCOPE).href, path]));
pathOf.set(SCOPE, "index.html");

async function fetchChecked(path) {
  const response = await fetch(new URL(path, SCOPE), { cache: "no-cache" });
  if (!response.ok) throw new Error(`${path}: HTTP ${response.status}`);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await response.clone().arrayBuffer()));
  const found = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  if (found !== BUNDLE.files[path]) throw new Error(`${path}: not a file of bundle ${BUNDLE.hash.slice(0, 12)}`);
  return response;
}

async function fill() {
  const cache = await caches.open(CACHE);
  try {
    for (const path of LISTED) await cache.put(new URL(path, SCOPE), await fetchChecked(path));
  } catch (error) {
    await caches.delete(CACHE);
    throw error;
  }
}

async function removeOthers() {
  const names = await caches.keys();
  await Promise.all(names.filter((name) => name.startsWith(PREFIX) && name !== CACHE).map((name) => caches.delete(name)));
  await self.clients.claim();
}

async function answer(request, path) {
  const cache = await caches.open(CACHE);
  return (await cache.match(new URL(path, SCOPE))) ?? fetch(request);
}

self.addEventListener("install", (event) => event.waitUntil(fill()));
self.addEventListener("activate", (event) => event.waitUntil(removeOthers()));
self.addEventListener("fetch", (event) => {
  const path = pathOf.get(event.request.url.replace(/[?#].*$/, ""));
  if (path && event.request.method === "GET") event.respondWith(answer(event.request, path));
});
self.addEventListener("message", (event) => {
  if (event.data === "bundle") event.ports[0].postMessage({ hash: BUNDLE.hash, version: BUNDLE.version });
  if (event.data === "replace") self.skipWaiting();
});
