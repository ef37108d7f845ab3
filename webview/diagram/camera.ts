/** The camera of the diagram: screen = diagram × scale + offset. */

export interface Camera {
  x: number;
  y: number;
  scale: number;
}

export interface Size {
  width: number;
  height: number;
}

export interface Rectangle extends Size {
  x: number;
  y: number;
}

export interface Point {
  x: number;
  y: number;
}

const SMALLEST = 0.08;
const LARGEST = 4;
/** Largest scale at which a diagram is fitted: small diagrams aren't enlarged to fill the window. */
const LARGEST_FIT = 1;
const MARGIN = 20;

const limited = (scale: number): number => Math.min(LARGEST, Math.max(SMALLEST, scale));

/** Zooms by `factor`; the point `at` stays under the pointer. */
export function zoomed(camera: Camera, factor: number, at: Point): Camera {
  const scale = limited(camera.scale * factor);
  const by = scale / camera.scale;
  return { scale, x: at.x - (at.x - camera.x) * by, y: at.y - (at.y - camera.y) * by };
}

export const moved = (camera: Camera, dx: number, dy: number): Camera => ({
  ...camera,
  x: camera.x + dx,
  y: camera.y + dy,
});

/** Shows all of `content`, centred in the window. */
export function fitted(content: Size, window: Size): Camera {
  const scale = limited(
    Math.min(
      LARGEST_FIT,
      (window.width - 2 * MARGIN) / Math.max(1, content.width),
      (window.height - 2 * MARGIN) / Math.max(1, content.height),
    ),
  );
  return {
    scale,
    x: (window.width - content.width * scale) / 2,
    y: (window.height - content.height * scale) / 2,
  };
}

/** The first view: all of `content` if it stays legible, else its beginning at a legible size. */
export function first(content: Size, window: Size): Camera {
  const whole = fitted(content, window);
  const readable = 0.7;
  if (whole.scale >= readable) return whole;
  const scale = Math.max(whole.scale, Math.min(1, (window.width - 2 * MARGIN) / content.width, readable));
  const legible = Math.max(scale, 0.5);
  return { scale: legible, x: (window.width - content.width * legible) / 2, y: MARGIN };
}

/** Moves just far enough to bring a rectangle of the diagram into the window. */
export function revealing(camera: Camera, box: Rectangle, window: Size): Camera {
  const along = (offset: number, start: number, length: number, size: number): number => {
    const from = start * camera.scale + offset;
    const to = from + length * camera.scale;
    if (from >= MARGIN && to <= size - MARGIN) return offset;
    return to - from > size - 2 * MARGIN || from < MARGIN
      ? offset + MARGIN - from
      : offset + size - MARGIN - to;
  };
  return {
    scale: camera.scale,
    x: along(camera.x, box.x, box.width, window.width),
    y: along(camera.y, box.y, box.height, window.height),
  };
}

/** After a new layout, moves the camera so that a box keeps its place on the screen. */
export const following = (camera: Camera, before: Point, now: Point): Camera =>
  moved(camera, (before.x - now.x) * camera.scale, (before.y - now.y) * camera.scale);
