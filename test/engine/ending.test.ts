// An engine that is being ended while the process that started it may end too.
import fs from "node:fs";
import { expect, test, vi } from "vitest";
import { isAlive } from "../../extension/processes/identity.ts";
import { forkEngine } from "../../extension/supervisor/engines/process.ts";
import { dist } from "./workspace.ts";

let found = (): void => undefined;
vi.mock(import("../../extension/processes/family.ts"), async (original) => ({
  ...(await original()),
  // It takes as long as a busy machine makes it.
  endDescendants: () => new Promise<void>((resolve) => (found = resolve)),
}));

test.skipIf(process.platform !== "linux")("is never stopped: it would outlive both", async () => {
  const engine = await forkEngine({ dist, entry: "tensorFileEngine.js" });
  const { pid = 0 } = engine;
  const ended = engine.kill();
  const state = (): string => / ([A-Z]) /.exec(fs.readFileSync(`/proc/${pid}/stat`, "utf8"))![1]!;
  for (let i = 0; i < 10; i++) {
    expect(state()).toMatch(/[RSD]/);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  found();
  await ended;
  expect(await isAlive(pid)).toBe(false);
});
