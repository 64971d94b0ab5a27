// Pictures of a prediction: the mask over the image, and the uncertainty as a map.

// Okabe and Ito's palette, distinguishable with any colour vision. The background has no colour.
const COLOURS = [[0, 158, 115], [240, 228, 66], [86, 180, 233], [213, 94, 0], [204, 121, 167]];
// Sixteen equidistant colours of the "inferno" map; between them, colours are interpolated.
const INFERNO = [[0, 0, 4], [12, 8, 38], [36, 12, 79], [66, 10, 104], [93, 18, 110], [120, 28, 109], [147, 38, 103],
  [174, 48, 92], [199, 62, 76], [221, 81, 58], [237, 105, 37], [248, 133, 15], [252, 165, 10], [250, 198, 45],
  [242, 230, 97], [252, 255, 164]];
const FILL = 0.25;

export const classColour = (index) => COLOURS[(index - 1) % COLOURS.length];
export const css = ([r, g, b]) => `rgb(${r} ${g} ${b})`;

function paint(canvas, width, height, rgba) {
  canvas.width = width;
  canvas.height = height;
  canvas.getContext("2d").putImageData(new ImageData(rgba, width, height), 0, 0);
}

/** Draws the image with every foreground class tinted and outlined. */
export function drawOverlay(canvas, { width, height, rgba }, mask) {
  const out = new Uint8ClampedArray(rgba);
  const reach = Math.max(1, Math.round(Math.min(width, height) / 200));
  const differs = (x, y, own) => x < 0 || y < 0 || x >= width || y >= height || mask[y * width + x] !== own;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const i = y * width + x, own = mask[i];
      if (!own) continue;
      const edge = differs(x - reach, y, own) || differs(x + reach, y, own) ||
        differs(x, y - reach, own) || differs(x, y + reach, own);
      const strength = edge ? 1 : FILL;
      classColour(own).forEach((value, c) => (out[i * 4 + c] = out[i * 4 + c] * (1 - strength) + value * strength));
    }
  }
  paint(canvas, width, height, out);
}

/** Draws the uncertainty from dark (0) to bright (1), on the same scale for every image. */
export function drawUncertainty(canvas, width, height, uncertainty) {
  const out = new Uint8ClampedArray(width * height * 4);
  uncertainty.forEach((u, i) => {
    const at = Math.min(Math.max(u, 0), 1) * (INFERNO.length - 1);
    const low = Math.floor(at), high = Math.min(low + 1, INFERNO.length - 1);
    for (let c = 0; c < 3; c++) out[i * 4 + c] = INFERNO[low][c] + (INFERNO[high][c] - INFERNO[low][c]) * (at - low);
    out[i * 4 + 3] = 255;
  });
  paint(canvas, width, height, out);
}

/** Draws a picture that was kept as a file. */
export async function paintBlob(canvas, blob) {
  const bitmap = await createImageBitmap(blob);
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
  bitmap.close();
}
