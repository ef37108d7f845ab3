// @ts-check
/** `npm run parity -- DIR [--kind K] [--engine native|wasm] [--json FILE] [--write OUT]`: golden cases against the library. */
import process from "node:process";
import * as esbuild from "esbuild";
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
  return run(process.execPath, ["--enable-source-maps", outfile, ...process.argv.slice(2)]);
});
