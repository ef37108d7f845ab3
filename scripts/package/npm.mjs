// @ts-check
/** The npm package: the command line, the library with its types, and the examples. It has no install script. */
import fs from "node:fs";
import path from "node:path";
import { buildLibrary } from "../build.mjs";
import { NODE_PROGRAMS } from "../build/bundles.mjs";
import { inRoot, mustRun, ScriptError } from "../project.mjs";
import { packagedPage } from "./markdown.mjs";
import { copyBindings, PREBUILT_TARGETS } from "./prebuilt.mjs";
import { completeTypes } from "./types.mjs";

/** Files and folders that ship, from the repository and from a release build. */
const SHIPPED = [
  "README.md",
  "CHANGELOG.md",
  "LICENSE",
  "SECURITY.md",
  "docs",
  "media/agents",
  "media/data",
  "media/examples",
  ...["THIRD_PARTY_NOTICES.txt", "native", "remoteAgent.cjs", "tfjs.cjs", "types", "wasm"].map(
    (name) => `dist/${name}`,
  ),
  ...["package.json", "LICENSE.md", "lib/main.js"].map((name) => `dist/node_modules/esbuild/${name}`),
  ...NODE_PROGRAMS.map((name) => `dist/${name}`),
];

/** ES modules wait for the engine when they import the library. */
const MODULE = `export * from "./library.js";
import { ready } from "./library.js";
await ready();
`;
/** A CommonJS module gets the same instance; it can't wait. */
const COMMONJS = `module.exports = require("./library.js");
`;
const TYPES = `export * from "./nn/index.ts";

/**
 * Waits until the engine is loaded. ES modules have waited when they import the library; a CommonJS module awaits this
 * before its first computation.
 */
export declare function ready(): Promise<void>;
`;

/**
 * Packs the package of a release build in dist/.
 * @param {{ out: string, bindings?: readonly string[] }} options The file; the platforms of its prebuilt bindings.
 * @returns {Promise<string>} The file's path.
 */
export async function packageLibrary({ out, bindings = PREBUILT_TARGETS }) {
  const folder = inRoot("out/npm");
  fs.rmSync(folder, { recursive: true, force: true });
  for (const name of SHIPPED)
    fs.cpSync(inRoot(name), path.join(folder, name), {
      recursive: true,
      filter: (file) => !/\.(map|mjs)$/.test(file),
    });
  const ships = (/** @type {string} */ file) =>
    SHIPPED.some((name) => file === name || file.startsWith(`${name}/`)) && fs.existsSync(inRoot(file));
  const pages = fs.readdirSync(inRoot("docs")).map((name) => `docs/${name}`);
  for (const page of ["README.md", "CHANGELOG.md", "SECURITY.md", ...pages])
    fs.writeFileSync(path.join(folder, page), packagedPage(page, { ships, pictures: "omit" }));
  await copyBindings(path.join(folder, "dist/native/prebuilt"), bindings);
  await buildLibrary(path.join(folder, "dist/library.js"));
  const write = (/** @type {string} */ name, /** @type {string} */ text) =>
    fs.writeFileSync(path.join(folder, name), text);
  write("dist/index.js", MODULE);
  write("dist/index.cjs", COMMONJS);
  completeTypes(path.join(folder, "dist/types"));
  write("dist/types/index.d.ts", TYPES);
  write("dist/types/index.d.cts", TYPES);
  write("package.json", `${JSON.stringify(manifest(), undefined, 2)}\n`);

  const target = path.dirname(out);
  await mustRun("npm", ["pack", folder, "--pack-destination", target, "--ignore-scripts"], { quiet: true });
  const packed = path.join(target, `${manifest().name}-${manifest().version}.tgz`);
  if (!fs.existsSync(packed)) throw new ScriptError(`npm pack left no ${packed}.`);
  if (packed !== out) fs.renameSync(packed, out);
  return out;
}

/** The package's own manifest. The repository's is that of the VS Code extension. */
function manifest() {
  const read = (/** @type {string} */ file) => JSON.parse(fs.readFileSync(inRoot(file), "utf8"));
  const { name, version, description, keywords, license, bin, engines } = read("package.json");
  return {
    name,
    version,
    description,
    keywords,
    license,
    type: "module",
    bin,
    engines: { node: engines.node },
    exports: {
      ".": {
        import: { types: "./dist/types/index.d.ts", default: "./dist/index.js" },
        require: { types: "./dist/types/index.d.cts", default: "./dist/index.cjs" },
      },
      "./package.json": "./package.json",
    },
    sideEffects: true,
    // esbuild's own package has an install script; these, which hold its program, have none.
    optionalDependencies: read("node_modules/esbuild/package.json").optionalDependencies,
  };
}
