// Plans with wrong numbers: the binding refuses each, or runs it within its memory.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { PlanWriter } from "../../../extension/executors/kernels/planWriter.ts";
import { TF } from "../../../extension/native/binding.ts";
import { BINDING_FILE } from "../../../extension/native/cache.ts";
import { loadNative } from "../../../extension/native/load.ts";
import { nativeStatus } from "../../../extension/native/status.ts";
import type { TfRef } from "../../../extension/tensor/lowering/lowering.ts";
import { plansOfSamples } from "../samplePlans.ts";

const MUTATIONS = 40;

/** Runs in another process. Its last line of output is the plan that it was at. */
const script = (addon: string, plans: string): string => `
  const { readFileSync, writeSync } = require("node:fs");
  const binding = require(${JSON.stringify(addon)});
  const plans = JSON.parse(readFileSync(${JSON.stringify(plans)}, "utf8"));
  let state = 1;
  const random = (n) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
  const LIMITS = [-1, 0, 1, 2, 3, 8, 9, 100, 65536, 2 ** 30, 2 ** 31 - 1, -(2 ** 31)];
  function changed(plan) {
    const code = Int32Array.from(plan);
    for (let k = [1, 1, 2, 5][random(4)]; k > 0; k--) {
      const at = random(code.length), other = random(code.length);
      const all = code[at], kind = random(5);
      if (kind < 2) code[at] = LIMITS[random(LIMITS.length)];
      else if (kind === 2) code[at] += random(2) * 2 - 1;
      else if (kind === 3) [code[at], code[other]] = [code[other], code[at]];
      // A size that occurs often fits together again.
      else for (let i = 0; i < code.length; i++) if (code[i] === all) code[i] = code[other];
    }
    return random(20) === 0 ? code.slice(0, random(code.length)) : code;
  }
  function leavesOf(code) {
    const leaves = [];
    for (let i = 0, at = 1; i < code[0]; i++) {
      const shape = code.slice(at + 2, at += 2 + code[at + 1]);
      const count = shape.reduce((n, size) => n * size, 1);
      if (count > 1e6) return undefined;
      const type = code[at - shape.length - 2];
      leaves.push(type === 1 ? new Float32Array(count).fill(0.5) : type === 3 ? new Int32Array(count).fill(1) : new Uint8Array(count));
    }
    return leaves;
  }
  const costs = new Float64Array(3);
  let refused = 0, run = 0;
  for (const plan of plans)
    for (let i = 0; i < ${MUTATIONS}; i++) {
      const code = changed(plan);
      writeSync(1, code.join() + "\\n");
      const id = binding.openPlan(code, 1 + random(2), costs);
      if (id < 0) {
        refused++;
        continue;
      }
      const leaves = costs[0] < 1e7 ? leavesOf(code) : undefined;
      // The numbers of the outputs end the plan.
      let outputs = 0;
      while (code[code.length - outputs - 1] !== outputs && outputs < code.length) outputs++;
      const made = new Int32Array(outputs);
      if (leaves !== undefined)
        try {
          if (binding.runPlan(id, leaves, [], made)) for (const tensor of made) binding.deleteTensor(tensor);
          run++;
        } catch (error) {
          // Of ids that look like the outputs' number.
          if (!/outputs were expected/.test(error.message)) throw error;
        }
      binding.closePlan(id);
    }
  writeSync(1, JSON.stringify({ refused, run }));`;

describe.skipIf(nativeStatus().state !== "installed")("plans with wrong numbers", () => {
  test("are refused, or run within their memory", { timeout: 120_000 }, () => {
    const folder = mkdtempSync(path.join(tmpdir(), "layerwise-plans-"));
    const file = path.join(folder, "plans.json");
    const plans = plansOfSamples();
    writeFileSync(file, JSON.stringify(plans));
    const addon = path.join(nativeStatus().directory, BINDING_FILE);
    const { status, signal, stdout, stderr } = spawnSync(process.execPath, ["-e", script(addon, file)], {
      encoding: "utf8",
      maxBuffer: 2 ** 30,
      timeout: 60_000,
    });
    rmSync(folder, { recursive: true });
    const last = stdout.slice(stdout.lastIndexOf("\n") + 1) || stdout.trimEnd().split("\n").at(-1);
    expect({ status, signal }, `at the plan ${last}: ${stderr}`).toEqual({ status: 0, signal: null });
    const { refused, run } = JSON.parse(last!) as { refused: number; run: number };
    expect(plans.length).toBeGreaterThan(300);
    expect(refused).toBeGreaterThan(1000);
    expect(run).toBeGreaterThan(500);
  });

  test("take arrays of their types and sizes alone", () => {
    const binding = loadNative();
    const writer = new PlanWriter([{ shape: [12], dtype: "float32" }]);
    const code = writer.finish([writer.node("Neg", [writer.leaf(0)], {})]);
    const plan = binding.openPlan(code, 1, new Float64Array(3));
    const none = new Int32Array(0);
    expect(binding.runPlan(plan, [new Float32Array(12)], [new Float32Array(12)], none)).toBe(true);
    // Of the right number of bytes, or of elements.
    const others = [
      new Uint8Array(12),
      new Uint8Array(48),
      new Uint8ClampedArray(48),
      new Int8Array(48),
      new Int16Array(12),
      new Int16Array(24),
      new Int32Array(12),
      new Float64Array(6),
      new Float64Array(12),
      new Float32Array(11),
      new Float32Array(13),
    ] as unknown as Float32Array[];
    for (const other of others) {
      const wrong = /typed array of another type|12 values of a plan were expected/;
      expect(() => binding.runPlan(plan, [other], [new Float32Array(12)], none)).toThrow(wrong);
      expect(() => binding.runPlan(plan, [new Float32Array(12)], [other], none)).toThrow(wrong);
    }
    const whole = binding.createTensor([12], TF.TF_INT32, new Int32Array(12));
    expect(() => binding.runPlan(plan, [whole], [new Float32Array(12)], none)).toThrow("another type");
    binding.deleteTensor(whole);
    binding.closePlan(plan);
  });

  test("give values without elements no memory of others", () => {
    const writer = new PlanWriter([
      { shape: [4], dtype: "float32" },
      { shape: [3, 4], dtype: "float32" },
      { shape: [3], dtype: "int64" },
    ]);
    const [x, rows, ids] = [0, 1, 2].map((i) => writer.leaf(i)) as [TfRef, TfRef, TfRef];
    const count = (n: number): TfRef => writer.constant([n], [], "int64");
    const none = writer.node("UnsortedSegmentSum", [rows, ids, count(0)], {});
    const negative = writer.node("Neg", [x], {});
    // The last that reads it: its memory is free then.
    const zeros = writer.node("UnsortedSegmentSum", [none, writer.constant([], [0], "int64"), count(2)], {});
    const sum = writer.node("AddV2", [negative, writer.node("Square", [x], {})], {});
    const code = writer.finish([sum, zeros]);
    const binding = loadNative();
    const plan = binding.openPlan(code, 1, new Float64Array(3));
    const found = [new Float32Array(4), new Float32Array(8)];
    const leaves = [Float32Array.of(1, 2, 3, 4), new Float32Array(12), Int32Array.of(-1, -1, -1)];
    expect(binding.runPlan(plan, leaves, found, new Int32Array(0))).toBe(true);
    expect([...found[0]!, ...found[1]!]).toEqual([0, 2, 6, 12, ...new Float32Array(8)]);
    binding.closePlan(plan);
  });

  test.each([
    ["a range that isn't a number", 5, NaN, 0],
    ["a range of none", 5, 0, 0],
    ["integers beyond 32 bits", 5, 10, 2 ** 31 - 5],
    ["a probability beyond 1", 2, 2 ** 32, 0],
  ])("and random numbers have parameters that fit: %s", (_, kind, first, second) => {
    const out = kind === 5 ? new Int32Array(16) : new Float32Array(16);
    const parameters = Float64Array.of(first, second, 1);
    expect(() => loadNative().drawRandom(kind, new Int32Array(624), 0, out, 16, parameters)).toThrow(
      "can't be drawn",
    );
  });
});
