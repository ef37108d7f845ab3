import assert from "node:assert/strict";
import { BOUNDS, load } from "../../bounds.ts";
import { test } from "../../harness.ts";
import { extension } from "./workspace.ts";
import { processorTime } from "./loopMeter.ts";

export { run } from "./run.ts";

/**
 * A window that has just begun has work of its own: the same code takes 32 to 76 ms there, 45 in the middle of nine windows.
 * This catches what is read, scanned or started in activation; the figure itself is in the line.
 */
const NOISE = 2;

test("latency: to activate the extension takes little", async (note) => {
  assert.equal(extension().isActive, false);
  const began = processorTime();
  await extension().activate();
  const took = processorTime() - began;
  note(`${took.toFixed(1)} ms of processor time`);
  assert.ok(took < NOISE * load() * BOUNDS.activation, `${took.toFixed(1)} ms`);
});
