/** Scrolls more rows than fit into the largest element: browsers allow about 33 million pixels. */

const MAX_PIXELS = 8_000_000;

/** Pixels of the content along one axis. */
export const contentSize = (count: number, size: number): number => Math.min(count * size, MAX_PIXELS);

/** The first item at a scroll position, perhaps partly visible. */
export function firstAt(scroll: number, count: number, size: number, viewport: number): number {
  if (count * size <= MAX_PIXELS) return Math.min(count - 1, Math.max(0, scroll / size));
  const share = scroll / (MAX_PIXELS - viewport);
  return Math.max(0, Math.min(1, share)) * Math.max(0, count - viewport / size);
}

/** The scroll position at which an item is the first. */
export function scrollTo(first: number, count: number, size: number, viewport: number): number {
  if (count * size <= MAX_PIXELS) return first * size;
  return (first / Math.max(1, count - viewport / size)) * (MAX_PIXELS - viewport);
}

/** The position of the first item at which `item` is fully visible. */
export function revealed(item: number, first: number, count: number, size: number, viewport: number): number {
  const seen = Math.max(1, viewport / size);
  if (item < first) return item;
  return item + 1 > first + seen ? Math.min(Math.max(0, count - seen), item + 1 - seen) : first;
}
