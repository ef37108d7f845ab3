/** How many files are worked on at the same time: hundreds of runs must not open hundreds of files. */
const LANES = 8;

/** Maps items, a few at a time. @returns the results in the items' order */
export async function inLanes<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const next = items.entries();
  const lane = async (): Promise<void> => {
    for (const [index, item] of next) results[index] = await work(item);
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return results;
}
