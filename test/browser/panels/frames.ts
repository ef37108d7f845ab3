/** Measures the computation of a page's frames. */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { BOUNDS, load, quantile } from "../../bounds.ts";

type Metered = typeof globalThis & {
  frameTimes: number[];
  plainFrame: typeof requestAnimationFrame;
};

/**
 * Milliseconds of the middle one of the frames that `act` asks the page for, one after another: it runs in the page, is
 * called with each item, and each call is followed by a frame.
 */
export async function frameTime<Item>(
  page: Page,
  items: readonly Item[],
  act: (item: Item) => void,
): Promise<number> {
  await page.evaluate(() => {
    const global = globalThis as Metered;
    const request = (global.plainFrame ??= global.requestAnimationFrame);
    global.frameTimes = [];
    global.requestAnimationFrame = (draw) =>
      request((now) => {
        const start = performance.now();
        draw(now);
        // Charts are drawn in a microtask after it.
        queueMicrotask(() => queueMicrotask(() => global.frameTimes.push(performance.now() - start)));
      });
  });
  for (const item of items) {
    await page.evaluate<void, unknown>(act as (item: unknown) => void, item);
    await page.evaluate(async () => {
      const { plainFrame } = globalThis as Metered;
      await new Promise((resolve) => setTimeout(resolve));
      await new Promise((resolve) => plainFrame(resolve));
      await new Promise((resolve) => plainFrame(resolve));
    });
  }
  const times = await page.evaluate(() => {
    const global = globalThis as Metered;
    global.requestAnimationFrame = global.plainFrame;
    return global.frameTimes;
  });
  return quantile(times);
}

/** Demands a bound of a measured time, where the machine is as fast as that of the bounds. */
export function assertQuick(milliseconds: number, bound: number, what: string): void {
  const slowness = load();
  assert.ok(
    milliseconds > 0 && milliseconds < bound * slowness,
    `${what} takes ${milliseconds} ms, where anything takes ${slowness.toFixed(1)} times as long`,
  );
}

/** Demands 60 frames a second of a {@link frameTime}. */
export const assertSmooth = (milliseconds: number, what = "a frame"): void =>
  assertQuick(milliseconds, BOUNDS.frame, what);
