/** The nearest whole number of a number that is not negative; the even one where two are as near: Python's `round`. */
export function roundHalfEven(x: number): number {
  const down = Math.floor(x);
  if (x - down !== 0.5) return Math.round(x);
  return down % 2 === 0 ? down : down + 1;
}
