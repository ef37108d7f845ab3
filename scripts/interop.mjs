// @ts-check
/**
 * `npm run interop`: exchanges files and trainings between Layerwise and PyTorch in both directions (see test/interop). The first
 * run installs PyTorch with pip; without pip, the tests are skipped with a message.
 */
import process from "node:process";
import * as esbuild from "esbuild";
import { inRoot, main, run } from "./project.mjs";
import { torchPython } from "./torch.mjs";

await main(async () => {
  /** @type {string} */
  let python;
  try {
    python = await torchPython();
  } catch (error) {
    console.log(
      `skipped: PyTorch can't be installed: ${error instanceof Error ? error.message : String(error)}`,
    );
    console.log("0 passed, 0 failed, 1 skipped");
    return 0;
  }
  const outfile = inRoot("out", "interop", "main.mjs");
  await esbuild.build({
    entryPoints: [inRoot("test", "interop", "main.ts")],
    outfile,
    bundle: true,
    platform: "node",
    target: "node20",
    format: "esm",
    sourcemap: "inline",
    packages: "external",
    keepNames: true,
    logLevel: "warning",
    // The examples are among the exported models.
    alias: { layerwise: inRoot("extension", "nn", "index.ts") },
  });
  const fixtures = inRoot("test", "fixtures");
  return run(process.execPath, [
    "--enable-source-maps",
    outfile,
    python,
    inRoot("test", "interop"),
    fixtures,
  ]);
});
