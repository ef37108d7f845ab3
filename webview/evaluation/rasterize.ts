/** Converts a drawing to an image like those of the data set. Pure functions, for tests. */

/** Values from 0 (background) to 1 (ink), row by row. */
export interface Ink {
  width: number;
  height: number;
  values: Float32Array;
}

export interface Target {
  width: number;
  height: number;
  ink?: { extent: number; x: number; y: number } | undefined;
}

interface Box {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

/** The bounding box of the ink; undefined if nothing is drawn. */
export function inkBox({ width, height, values }: Ink): Box | undefined {
  const box = { left: width, top: height, right: 0, bottom: 0 };
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      if ((values[y * width + x] ?? 0) < 0.1) continue;
      box.left = Math.min(box.left, x);
      box.right = Math.max(box.right, x + 1);
      box.top = Math.min(box.top, y);
      box.bottom = Math.max(box.bottom, y + 1);
    }
  return box.right > box.left ? box : undefined;
}

function middle({ width, height, values }: Ink): { x: number; y: number } {
  let all = 0;
  let [sumX, sumY] = [0, 0];
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const ink = values[y * width + x] ?? 0;
      all += ink;
      sumX += ink * (x + 0.5);
      sumY += ink * (y + 0.5);
    }
  return { x: sumX / all, y: sumY / all };
}

/**
 * Scales a drawing to an image: each pixel is the mean of the pad's pixels that it covers. If the data's ink has a typical
 * size and place, the drawing is scaled and moved to them: by its longer side and its centre of mass.
 */
export function rasterize(pad: Ink, { width, height, ink }: Target): number[] {
  const box = inkBox(pad);
  if (box === undefined) return Array.from({ length: width * height }, () => 0);
  let [perX, perY] = [pad.width / width, pad.height / height];
  let [left, top] = [0, 0];
  if (ink !== undefined) {
    const side = Math.max(box.right - box.left, box.bottom - box.top);
    perX = perY = side / (ink.extent * Math.max(width, height));
    const centre = middle(pad);
    left = centre.x - ink.x * width * perX;
    top = centre.y - ink.y * height * perY;
  }
  return Array.from({ length: width * height }, (_, at) => {
    const x = left + (at % width) * perX;
    const y = top + Math.floor(at / width) * perY;
    return Number(covered(pad, x, y, x + perX, y + perY).toFixed(3));
  });
}

/** The mean of a rectangle of the pad, with pixels weighted by coverage; there is no ink outside. */
function covered(
  { width, height, values }: Ink,
  left: number,
  top: number,
  right: number,
  bottom: number,
): number {
  let sum = 0;
  for (let y = Math.max(0, Math.floor(top)); y < Math.min(height, bottom); y++)
    for (let x = Math.max(0, Math.floor(left)); x < Math.min(width, right); x++) {
      const share =
        (Math.min(x + 1, right) - Math.max(x, left)) * (Math.min(y + 1, bottom) - Math.max(y, top));
      sum += share * (values[y * width + x] ?? 0);
    }
  return sum / ((right - left) * (bottom - top));
}
