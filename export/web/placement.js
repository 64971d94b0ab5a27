// Where an image lies in the network's input: the part of it that is read, and the part of the input that shows it.
// The same whole numbers as uml_tf/runtime/placement.py.

const SMALLEST_SHOWN = 3;

/** The nearest whole number, halves up. */
export const nearest = (value) => Math.floor(value + 0.5);
const boxOf = ([height, width]) => ({ top: 0, left: 0, height, width });

function centred({ top, left, height, width }, [h, w]) {
  return { top: top + Math.floor((height - h) / 2), left: left + Math.floor((width - w) / 2), height: h, width: w };
}

/**
 * The placement of an image of a size, [height, width], by the model's fit in an input of a size; of a part of the image
 * where a box is given.
 */
export function place(fit, original, size, box = null) {
  const crop = box ?? boxOf(original), target = boxOf(size);
  const { height, width } = crop, [h, w] = size;
  const tall = height * w >= width * h; // no less tall than the input's shape
  if (fit === "stretch" || height * w === width * h) return { original, crop, size, target };
  if (fit === "letterbox") {
    const shown = tall ? [h, nearest((width * h) / height)] : [nearest((height * w) / width), w];
    return { original, crop, size, target: centred(target, shown.map((side) => Math.max(side, SMALLEST_SHOWN))) };
  }
  const kept = tall ? [nearest((width * h) / w), width] : [height, nearest((height * w) / h)];
  return { original, crop: centred(crop, kept.map((side) => Math.max(side, 1))), size, target };
}
