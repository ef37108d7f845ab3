// @ts-check
/**
 * `npm run parity -- DIR [--kind K] [--every N] [--engine native|kernels|wasm] [--prebuilt] [--node PROGRAM] [--json FILE]
 * [--write OUT]`: golden cases against the library. Several engines run side by side. `--node` names another Node to run them.
 */
import path from "node:path";
import process from "node:process";
import * as esbuild from "esbuild";
import { prebuiltBindings } from "./package/prebuilt.mjs";
import { inRoot, main, run } from "./project.mjs";

await main(async () => {
  const outfile = inRoot("out", "parity", "main.mjs");
  await esbuild.build({
    entryPoints: [inRoot("test", "parity", "main.ts")],
    outfile,
    bundle: true,
    platform: "node",
    target: "node20",
    format: "esm",
    sourcemap: "inline",
    packages: "external",
    // Class names are compared with PyTorch's.
    keepNames: true,
    logLevel: "warning",
  });
  const command = ["--enable-source-maps", outfile];
  const given = process.argv.slice(2);
  const at = given.indexOf("--node");
  const [, node = process.execPath] = at < 0 ? [] : given.splice(at, 2);
  const args = given.filter((arg) => arg !== "--prebuilt");
  if (args.length < given.length) {
    const target = `${process.platform}-${process.arch}`;
    args.push("--binding", path.join(await prebuiltBindings([target]), target, "tfjs_binding.node"));
  }
  const engines = args.filter((_, i) => args[i - 1] === "--engine");
  if (engines.length < 2) return run(node, [...command, ...args]);
  const cases = args.filter((arg, i) => arg !== "--engine" && args[i - 1] !== "--engine");
  const total = { passed: 0, failed: 0, skipped: 0 };
  const exits = await Promise.all(
    engines.map(async (engine) => {
      let output = "";
      const options = { quiet: true, onOutput: (/** @type {string} */ text) => (output += text) };
      const exit = await run(node, [...command, ...cases, "--engine", engine], options);
      // Held back until here, so that engines don't mix; of a failed one, `run` has printed it.
      if (exit === 0) process.stdout.write(output);
      const [, passed = 0, failed = 1, skipped = 0] =
        /(\d+) passed, (\d+) failed, (\d+) skipped\s*$/.exec(output) ?? [];
      total.passed += Number(passed);
      total.failed += Number(failed);
      total.skipped += Number(skipped);
      return exit;
    }),
  );
  console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
  return Math.max(...exits);
});
