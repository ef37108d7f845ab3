import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import * as v from "valibot";
import { makeFolder } from "../../files/folders.ts";
import { cacheDirectory, type Host } from "../../native/cache.ts";
import { NativeError } from "../../native/errors.ts";
import { runCommand } from "../../native/install/command.ts";
import { codeString } from "../../protocol/text/code.ts";
import { productNode, reduceNode } from "../../tensor/lowering/nodes.ts";
import { attr } from "../../tensor/lowering/lowering.ts";
import { PlanWriter } from "./planWriter.ts";

/** Rows, columns and depth of a product that is large enough for two threads. */
const SIZE = 192;

/** Milliseconds that the trial may take. A slow disk and a virus scanner are slow with a new program. */
const LIMIT = 60_000;

/** The values that the trial multiplies. */
const valueAt = (i: number): number => ((i * 7) % 13) - 6;

/** Sums of the rows of tanh(x y / 256), which the trial has to give. */
function expected(): Float64Array {
  const sums = new Float64Array(SIZE);
  for (let i = 0; i < SIZE; i++)
    for (let j = 0; j < SIZE; j++) {
      let sum = 0;
      for (let k = 0; k < SIZE; k++) sum += valueAt(i * SIZE + k) * valueAt(k * SIZE + j);
      sums[i]! += Math.tanh(sum / 256);
    }
  return sums;
}

function planCode(): number[] {
  const matrix = { shape: [SIZE, SIZE], dtype: "float32" } as const;
  const b = new PlanWriter([matrix, matrix]);
  const T = attr.type("float32");
  const product = productNode(b, b.leaf(0), b.leaf(1));
  const scaled = b.node("Mul", [product, b.constant([1 / 256], [], "float32")], { T });
  return [...b.finish([reduceNode(b, "Sum", b.node("Tanh", [scaled], { T }), [1], false)])];
}

const scriptOf = (binding: string): string => `
const binding = require(${codeString(binding)});
const values = Float32Array.from({ length: ${SIZE ** 2} }, (_, i) => ((i * 7) % 13) - 6);
const sums = new Float32Array(${SIZE});
const plan = binding.openPlan(Int32Array.from(${JSON.stringify(planCode())}), 2, new Float64Array(3));
if (plan < 0 || !binding.runPlan(plan, [values, values], [sums], new Int32Array(0))) throw new Error("it refuses a product");
process.stdout.write(JSON.stringify([...sums]));`;

/**
 * Tries a binding in a process of its own, once on each machine: one that the system or the processor doesn't take must not end a
 * run. A file in the user's cache remembers that it works.
 * @throws NativeError "load-failed"
 */
export async function tryKernels(binding: string, host: Host): Promise<void> {
  const hash = createHash("sha256")
    .update(await readFile(binding))
    .digest("hex");
  const known = path.join(cacheDirectory(host), "kernels", `${hash}-${process.arch}`);
  if (existsSync(known)) return;
  const { code, stdout, output } = await runCommand(process.execPath, ["--eval", scriptOf(binding)], {
    // In the extension host, the executable is VS Code itself.
    env: { ...host.env, ELECTRON_RUN_AS_NODE: "1" },
    limit: LIMIT,
  });
  const problem = code === 0 ? wrongResult(stdout) : lastError(output, code);
  if (problem !== undefined)
    throw new NativeError("load-failed", `Layerwise's own kernels can't be used here: ${problem}`, {
      detail: output,
    });
  // Only a note: where it can't be written, the next process tries again.
  await makeFolder(path.dirname(known))
    .then(() => writeFile(known, ""))
    .catch(() => undefined);
}

function wrongResult(stdout: string): string | undefined {
  const wrong = "they compute wrong numbers";
  let found: number[];
  try {
    found = v.parse(v.array(v.number()), JSON.parse(stdout));
  } catch {
    return wrong;
  }
  // Rounding differs by 1e-5.
  return expected().every((sum, i) => Math.abs(sum - found[i]!) < 1e-2) ? undefined : wrong;
}

const lastError = (output: string, code: number): string =>
  output
    .split("\n")
    .find((text) => text.startsWith("Error:"))
    ?.replace(/^Error: /, "") ?? `exit code ${code}`;
