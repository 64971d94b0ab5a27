// Use without a network: the service worker (sw.js) that keeps the bundle, and its replacement by a newer bundle.

import { supportsFeature } from "@litertjs/core";
import { text } from "./texts.js";

/** Which bundle a service worker holds: {hash, version}. */
function bundleOf(worker) {
  return new Promise((resolve) => {
    const channel = new MessageChannel();
    channel.port1.onmessage = (event) => resolve(event.data);
    worker.postMessage("bundle", [channel.port2]);
  });
}

function settled(worker) {
  return new Promise((resolve, reject) => {
    const check = () => {
      if (worker.state === "installed" || worker.state === "activated") resolve(worker);
      if (worker.state === "redundant") reject(new Error(text("offline.differs")));
    };
    worker.addEventListener("statechange", check);
    check();
  });
}

/**
 * Keeps the bundle in the browser. Calls kept({hash, version}) once it is there, or failed(message), and
 * newer({hash, version}, use) for another bundle that has been fetched whole; use() puts it in place and loads the page again.
 */
export async function keepOffline({ kept, failed, newer }) {
  if (!navigator.serviceWorker) return failed(text("offline.unsupported"));
  const relaxed = (await supportsFeature("relaxedSimd")) ? "?relaxed" : "";
  const replaced = Boolean(navigator.serviceWorker.controller);
  const registration = await navigator.serviceWorker.register(`sw.js${relaxed}`, { updateViaCache: "none" });
  const offer = async (worker) => {
    try {
      await settled(worker);
    } catch (error) {
      return registration.active ? null : failed(error.message);
    }
    const bundle = await bundleOf(worker);
    if (registration.waiting === worker && registration.active) {
      return newer(bundle, () => {
        navigator.serviceWorker.addEventListener("controllerchange", () => location.reload());
        worker.postMessage("replace");
      });
    }
    return kept(bundle);
  };
  registration.addEventListener("updatefound", () => offer(registration.installing));
  if (registration.active) kept(await bundleOf(registration.active));
  const pending = registration.waiting ?? registration.installing;
  if (pending && pending !== registration.active) offer(pending);
  if (replaced) registration.update().catch(() => null); // without a network there is nothing newer
}
