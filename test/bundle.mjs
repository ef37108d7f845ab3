// @ts-check
import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import * as esbuild from "esbuild";
import { inRoot } from "../scripts/project.mjs";

/**
 * Bundles a test program written in TypeScript; packages and the scripts of this repository stay outside.
 * Tests beside each other bundle the same programs: each finds the whole of one in its place, never a part.
 * @param {string} entry Relative to the repository.
 * @param {string} outfile Relative to the repository; `.cjs` for what VS Code loads, `.mjs` for what Node runs.
 * @returns {Promise<string>} The bundle's absolute path.
 */
export async function bundle(entry, outfile) {
  const output = inRoot(outfile);
  const { outputFiles } = await esbuild.build({
    write: false,
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
  fs.mkdirSync(path.dirname(output), { recursive: true });
  const [file] = outputFiles;
  const temporary = `${output}.${process.pid}.${performance.now()}`;
  fs.writeFileSync(temporary, file?.contents ?? "");
  fs.renameSync(temporary, output);
  return output;
}
