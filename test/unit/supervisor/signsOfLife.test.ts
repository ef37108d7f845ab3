import { expect, it } from "vitest";
import { SignsOfLife } from "../../../extension/processes/workers/signsOfLife.ts";

/** Looks every half a second from `from` to `to`, at what `marks` finds. @returns what the last look found */
function watch(
  signs: SignsOfLife,
  [from, to]: readonly [number, number],
  marks: (now: number) => (string | undefined)[],
): ReturnType<SignsOfLife["look"]> {
  let found: ReturnType<SignsOfLife["look"]> = [];
  for (let now = from; now <= to && found.length === 0; now += 500) found = signs.look(marks(now), now);
  return found;
}

/** A lock's sign of life every two seconds, by a clock that is far behind. */
const beating = (now: number): string => `lock ${Math.floor(now / 2000) * 2000 - 1e9}`;

it("finds the worker whose heartbeats stop, with any clock of its disk", () => {
  const signs = new SignsOfLife([undefined, undefined], 0);
  expect(watch(signs, [500, 100_000], (now) => [beating(now), beating(now)])).toEqual([]);
  const frozen = (now: number): string[] => [beating(now), beating(100_000)];
  expect(watch(signs, [100_500, 111_500], frozen)).toEqual([]);
  expect(watch(signs, [112_000, 112_500], frozen)).toEqual([{ rank: 1, limit: 12_000 }]);
});

it("restarts the count after the machine was asleep", () => {
  const signs = new SignsOfLife([undefined], 0);
  expect(watch(signs, [500, 10_000], (now) => [beating(now)])).toEqual([]);
  expect(watch(signs, [70_000, 80_000], () => [beating(10_000)])).toEqual([]);
  expect(watch(signs, [80_500, 82_500], () => [beating(10_000)])).toEqual([{ rank: 0, limit: 12_000 }]);
});

it("doesn't take an old lock for a heartbeat", () => {
  const signs = new SignsOfLife(["old"], 0);
  expect(watch(signs, [500, 59_500], () => ["old"])).toEqual([]);
  expect(signs.look(["old"], 60_000)).toEqual([{ rank: 0, limit: 60_000 }]);
});

it("waits for a worker that has released its lock, and for a disk that doesn't answer", () => {
  const signs = new SignsOfLife([undefined], 0);
  expect(watch(signs, [500, 5000], (now) => [beating(now)])).toEqual([]);
  expect(watch(signs, [5500, 60_000], () => [undefined])).toEqual([]);
  expect(watch(signs, [60_500, 70_000], () => [beating(5000)])).toEqual([]);
});
