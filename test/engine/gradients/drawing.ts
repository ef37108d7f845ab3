/** Numbers from 0 to 1, the same for a seed on every engine. */
export function drawing(seed: number): () => number {
  let state = seed >>> 0;
  return () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32;
}

/** Seeds of random programs: those below `count`; `LAYERWISE_TEST_PROGRAMS=FROM-TO` runs others. */
export function programSeeds(count: number): number[] {
  const [from, to] = (process.env["LAYERWISE_TEST_PROGRAMS"] ?? `0-${count}`).split("-").map(Number);
  return Array.from({ length: to! - from! }, (_, i) => from! + i);
}
