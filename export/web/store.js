// The results that are kept in this browser until they are deleted.
// One is {id, name, time, bundle, card, json, reason, files}. card: what the model's card says that is shown;
// files: "image", "mask", "overlay", "uncertainty", "doubt" -> Blob.

const STORE = "results";
let opened = null;

// One database for every place of a page: two bundles of one server do not share their patients.
function database() {
  opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(`uml-tf ${new URL("./", import.meta.url).pathname}`, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "id", autoIncrement: true });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  return opened;
}

async function within(mode, action) {
  const transaction = (await database()).transaction(STORE, mode);
  const request = action(transaction.objectStore(STORE));
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve(request.result);
    transaction.onabort = () => reject(transaction.error ?? new Error("the storage is full"));
  });
}

/** Keeps a result without an id; returns it with its id. */
export async function keep(result) {
  navigator.storage?.persist?.();
  return { ...result, id: await within("readwrite", (store) => store.add(result)) };
}

/** All results, oldest first; their files are read only when they are used. */
export const allKept = () => within("readonly", (store) => store.getAll());
export const remove = (id) => within("readwrite", (store) => store.delete(id));
export const removeAll = () => within("readwrite", (store) => store.clear());
