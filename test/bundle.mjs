// @ts-check
import path from "node:path";
import { pathToFileURL } from "node:url";
import * as esbuild from "esbuild";
import { inRoot } from "../scripts/project.mjs";

/**
 * Bundles a test program written in TypeScript; packages and the scripts of this repository stay outside.
 * @param {string} entry Relative to the repository.
 * @param {string} outfile Relative to the repository; `.cjs` for what VS Code loads, `.mjs` for what Node runs.
 * @returns {Promise<string>} The bundle's absolute path.
 */
export async function bundle(entry, outfile) {
  const output = inRoot(outfile);
  await esbuild.build({
    entryPoints: [inRoot(entry)],
    outfile: output,
    bundle: true,
    platform: "node",
    target: "node20",
    format: outfile.endsWith(".cjs") ? "cjs" : "esm",
    packages: "external",
    sourcemap: "inline",
    logLevel: "warning",
    plugins: [
      {
        name: "scripts stay where they are",
        setup(build) {
          build.onResolve({ filter: /\/scripts\/.+\.mjs$/ }, ({ path: name, resolveDir }) => ({
            path: pathToFileURL(path.resolve(resolveDir, name)).href,
            external: true,
          }));
        },
      },
    ],
  });
  return output;
}
