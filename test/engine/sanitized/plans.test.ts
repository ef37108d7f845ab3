// The interpreter of plans and its kernels under AddressSanitizer and UndefinedBehaviorSanitizer: plans of all ops, with ordinary numbers
// and with those at limits, and changed plans.
import { execFile, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, describe, expect, test } from "vitest";
import { thisHost } from "../../../extension/native/cache.ts";
import { findCompiler } from "../../../extension/native/install/tools.ts";
import { nativeStatus } from "../../../extension/native/status.ts";
import { slow } from "../../slow.ts";
import { plansOfSamples } from "../samplePlans.ts";

const folder = mkdtempSync(path.join(tmpdir(), "layerwise-sanitized-"));
afterAll(() => rmSync(folder, { recursive: true }));

const own = fileURLToPath(new URL("../../../extension/native/", import.meta.url));
const compiler = findCompiler(thisHost());
const FLAGS = [
  "-O1",
  "-g",
  "-std=c++17",
  "-pthread",
  "-fno-math-errno",
  "-fno-trapping-math",
  "-fsanitize=address,undefined,float-cast-overflow",
  "-fno-sanitize-recover=all",
];

/** Whether the compiler is GCC, whose sanitizers apart.h knows, with their libraries. */
function sanitizes(): boolean {
  if (compiler === undefined || nativeStatus().state !== "installed") return false;
  const file = path.join(folder, "empty.cc");
  writeFileSync(file, "#if !defined(__SANITIZE_ADDRESS__)\n#error\n#endif\nint main() {}\n");
  return spawnSync(compiler, [...FLAGS, file, "-o", path.join(folder, "empty")]).status === 0;
}

describe.skipIf(!sanitizes())("plans under sanitizers", slow, () => {
  test("neither leave their memory nor do what C++ leaves undefined", { timeout: 1_800_000 }, async () => {
    const program = path.join(folder, "plans");
    const sets = ["avx512", "avx2", "baseline"].map((set) => path.join(own, "kernels", `${set}.cc`));
    const sources = [...sets, fileURLToPath(new URL("plans.cc", import.meta.url))];
    const call = promisify(execFile);
    const objects = await Promise.all(
      sources.map(async (source, i) => {
        const object = path.join(folder, `${i}.o`);
        await call(compiler!, [...FLAGS, `-I${own}`, "-c", source, "-o", object]);
        return object;
      }),
    );
    await call(compiler!, [...FLAGS, ...objects, "-o", program]);
    const plans = plansOfSamples(20);
    const file = path.join(folder, "plans.bin");
    writeFileSync(
      file,
      new Uint8Array(Int32Array.from(plans.flatMap((code) => [code.length, ...code])).buffer),
    );
    const { status, stdout, stderr } = spawnSync(program, [file, "40"], {
      encoding: "utf8",
      maxBuffer: 2 ** 26,
      env: { ...process.env, ASAN_OPTIONS: "allocator_may_return_null=1:detect_leaks=0", LD_PRELOAD: "" },
    });
    expect(stderr.slice(0, 5000)).toBe("");
    expect(status).toBe(0);
    const { run, changed, ...counts } = JSON.parse(stdout) as Record<"plans" | "run" | "changed", number>;
    expect(counts.plans).toBe(plans.length);
    expect(run).toBeGreaterThan(plans.length);
    expect(changed).toBeGreaterThan(1000);
  });
});
