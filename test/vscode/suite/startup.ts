import assert from "node:assert/strict";
import { BOUNDS, load, quantile } from "../../bounds.ts";
import { test } from "../../harness.ts";
import { extension } from "./workspace.ts";
import { processorTime } from "./loopMeter.ts";

export { run } from "./run.ts";

test("latency: to activate the extension takes little", async (note) => {
  // Past the first, which the window is still loaded in.
  const slow = quantile([load(), load(), load()]);
  assert.equal(extension().isActive, false);
  const began = processorTime();
  await extension().activate();
  const took = processorTime() - began;
  note(`${took.toFixed(1)} ms of processor time, where anything takes ${slow.toFixed(1)} times as long`);
  assert.ok(took < slow * BOUNDS.activation, `${took.toFixed(1)} ms`);
});
