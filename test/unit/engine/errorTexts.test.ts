// Mistakes in a user's model are reported in PyTorch's words, at the user's line, with the path of their module.
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeError } from "../../../extension/engine/host/userErrors.ts";
import { loadUserModule } from "../../../extension/engine/host/userModule.ts";
import { loadExecutor } from "../../../extension/executors/index.ts";
import * as library from "../../../extension/nn/index.ts";
import { setWarningSink } from "../../../extension/nn/warnings.ts";

interface Mistake {
  call: string;
  message: string;
}

const file = new URL("../../fixtures/errors/texts.json", import.meta.url);
const mistakes = JSON.parse(readFileSync(file, "utf8")) as Mistake[];

/** Every mistake in the forward of a module's child, on a line of its own. */
const head = 'import { torch, nn, F, optim } from "layerwise";';
const program = [
  head,
  ...mistakes.map(
    ({ call }, i) => `class Inner${i} extends nn.Module { forward() { return (
      ${call}
    ); } }
export class Net${i} extends nn.Module { inner = new Inner${i}(); forward() { return this.inner(); } }`,
  ),
].join("\n");
const lineOf = (i: number): number => 4 * i + 3;

let exports: Record<string, unknown>;
let warnings: ReturnType<typeof setWarningSink>;
beforeAll(async () => {
  warnings = setWarningSink(() => {});
  await loadExecutor("cpu");
  ({ exports } = await loadUserModule("/models/mistakes.nn.ts", { library, text: program }));
});
afterAll(() => void setWarningSink(warnings));

test("there are thirty and more", () => {
  expect(mistakes.length).toBeGreaterThanOrEqual(30);
});

test.each(mistakes.map(({ call, message }, i) => [call, message, i] as const))("%s", (_, message, i) => {
  const Net = exports[`Net${i}`] as new () => () => unknown;
  let thrown: unknown;
  try {
    new Net()();
  } catch (error) {
    thrown = error;
  }
  const told = describeError(thrown);
  expect(told.message).toBe(message);
  expect(told.position?.line).toBe(lineOf(i));
  // A layer that is made where it is called has no name of its own: it is named by its class.
  expect(told.module).toMatch(/^inner(\.\w+)?$/);
});
