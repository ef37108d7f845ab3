/** Milliseconds for decisions of a training. Workers that train together follow the first one's clock, and so decide alike. */
let read = (): number => performance.now();

export const now = (): number => read();

export function followClock(source: () => number): void {
  read = source;
}
