import assert from "node:assert/strict";
import { BOUNDS } from "../../bounds.ts";
import { test } from "../../harness.ts";
import { extension } from "./workspace.ts";
import { processorTime } from "./loopMeter.ts";

export { run } from "./run.ts";

let took: number | undefined;

test("latency: to activate the extension takes little", async (note) => {
  if (took === undefined) {
    const began = processorTime();
    await extension().activate();
    took = processorTime() - began;
  }
  note(`${took.toFixed(1)} ms of processor time`);
  assert.ok(took < BOUNDS.activation, `${took.toFixed(1)} ms`);
});
