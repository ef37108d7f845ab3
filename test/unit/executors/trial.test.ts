// The trial of a binding in a process of its own, with programs in its place that behave as a binding may.
import fs from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { tryKernels } from "../../../extension/executors/kernels/trial.ts";
import { thisHost, type Host } from "../../../extension/native/cache.ts";
import { useFolder } from "../../folders.ts";

const folder = useFolder();

/** The trial's product, in JavaScript. */
const RIGHT = `exports.openPlan = () => 0;
exports.runPlan = (_, [x, y], [sums]) => {
  const n = sums.length;
  for (let i = 0; i < n; i++) {
    let total = 0;
    for (let j = 0; j < n; j++) {
      let sum = 0;
      for (let k = 0; k < n; k++) sum += x[i * n + k] * y[k * n + j];
      total += Math.tanh(sum / 256);
    }
    sums[i] = total;
  }
  return true;
};`;

function placed(text: string): { file: string; host: Host; calls: () => string } {
  const file = path.join(folder, "binding.cjs");
  const log = path.join(folder, "calls");
  fs.writeFileSync(file, `require("node:fs").appendFileSync(${JSON.stringify(log)}, "called ");\n${text}`);
  const host = { ...thisHost(), env: { ...process.env, LAYERWISE_CACHE: path.join(folder, "cache") } };
  return { file, host, calls: () => fs.readFileSync(log, "utf8") };
}

test("a binding that works is tried once", async () => {
  const { file, host, calls } = placed(RIGHT);
  await tryKernels(file, host);
  await tryKernels(file, host);
  expect(calls()).toBe("called ");
  // Another version.
  fs.appendFileSync(file, "\n");
  await tryKernels(file, host);
  expect(calls()).toBe("called called ");
});

test("one that works is used where nothing can be remembered", async () => {
  const { file, host, calls } = placed(RIGHT);
  fs.writeFileSync(host.env["LAYERWISE_CACHE"]!, "a file");
  await tryKernels(file, host);
  await tryKernels(file, host);
  expect(calls()).toBe("called called ");
});

test.each([
  ["doesn't load", 'throw new Error("no such symbol: napi_wrap");', "no such symbol: napi_wrap"],
  ["is killed", 'process.kill(process.pid, "SIGILL");', "exit code -1"],
  ["ends without a result", "process.exit(7);", "exit code 7"],
  ["writes something else", "process.exit(0);", "they compute wrong numbers"],
  ["refuses the plan", "exports.openPlan = () => -1;", "it refuses a product"],
  ["computes wrong numbers", RIGHT.replace("total += ", "total += 1e-3 + "), "they compute wrong numbers"],
  ["computes NaN", RIGHT.replace("= total", "= NaN"), "they compute wrong numbers"],
])("one that %s is refused each time", async (_, text, why) => {
  const { file, host, calls } = placed(text);
  for (let time = 0; time < 2; time++)
    await expect(tryKernels(file, host)).rejects.toThrow(
      `Layerwise's own kernels can't be used here: ${why}`,
    );
  expect(calls()).toBe("called called ");
});
