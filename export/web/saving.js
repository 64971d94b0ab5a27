// Saving a file.

const KEPT_MS = 60000;

/** Lets the browser save a Blob under a name. */
export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // Not at once: a busy browser has not begun to read it by then, and the download would never come.
  setTimeout(() => URL.revokeObjectURL(link.href), KEPT_MS);
}
