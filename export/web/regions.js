// The regions that are reported: the pixel classes, and the unions that a data set names.

/** [name, class indices] of every foreground class, then of the unions. */
export function regionMembers({ pixel_classes: names, unions }) {
  const regions = names.slice(1).map((name, i) => [name, [i + 1]]);
  for (const [union, parts] of Object.entries(unions)) regions.push([union, parts.map((p) => names.indexOf(p))]);
  return regions;
}
