/** Bundles a TypeScript worker of the bench. */
import { build } from "esbuild";
import { inRoot } from "../project.mjs";

/** @param {string} name Name of a file in test/bench. @returns The bundle's path. */
export async function bundleWorker(name) {
  const outfile = inRoot("out", "bench", `${name}.js`);
  await build({
    entryPoints: [inRoot("test", "bench", `${name}.ts`)],
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    outfile,
    packages: "external",
    alias: { layerwise: inRoot("extension", "nn", "index.ts") },
    logLevel: "warning",
  });
  return outfile;
}
