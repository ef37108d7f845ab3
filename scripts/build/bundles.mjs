// @ts-check
/** What esbuild bundles for dist/, and how. */
import fs from "node:fs";
import path from "node:path";
import { inRoot, root } from "../project.mjs";

/** @import * as esbuild from "esbuild" */

/** CommonJS packages inside an ES module bundle need these. */
const ESM_BANNER = `import { createRequire as __createRequire } from "node:module";
import { fileURLToPath as __fileURLToPath } from "node:url";
const require = __createRequire(import.meta.url);
const __filename = __fileURLToPath(import.meta.url);
const __dirname = __fileURLToPath(new URL(".", import.meta.url));`;

const PROGRAMS = {
  hubDownload: "extension/engine/files/hubDownload.ts",
  tensorFileEngine: "extension/engine/entry/tensorFileEngine.ts",
  watchdogWorker: "extension/engine/entry/watchdogWorker.ts",
};

/** Large programs: `<name>.cjs`, which extension/startup runs as `<name>.js`. */
const STARTED = {
  cli: "extension/cli.ts",
  runEngine: "extension/engine/entry/runEngine.ts",
  previewEngine: "extension/engine/entry/previewEngine.ts",
};

/** What the command line loads for some of its commands: `<name>.cjs`. */
const LOADED = { mcp: "extension/mcp/serve.ts" };

/** What starts the large programs: it finds its program by its own name. */
const STARTERS = Object.fromEntries(Object.keys(STARTED).map((name) => [name, "extension/startup/main.ts"]));

/** Leaves tfjs, a quarter of their size, out of programs that read it when they need it: Node reads a program before it starts. */
export const TFJS_APART = {
  name: "tfjs apart",
  /** @param {esbuild.PluginBuild} build */
  setup(build) {
    build.onResolve({ filter: /\/library\.ts$/ }, ({ kind, importer }) =>
      kind === "dynamic-import" && importer.endsWith(path.join("tfjs", "load.ts"))
        ? { path: "./tfjs.cjs", external: true }
        : undefined,
    );
  },
};

/** tfjs needs node-fetch only without a global fetch; a bundler of the user's would look for it. */
const OWN_FETCH = {
  name: "own fetch",
  /** @param {esbuild.PluginBuild} build */
  setup(build) {
    build.onResolve({ filter: /^node-fetch$/ }, ({ path: name }) => ({ path: name, namespace: "fetch" }));
    build.onLoad({ filter: /.*/, namespace: "fetch" }, () => ({ contents: "module.exports = fetch;" }));
  },
};

/** Their threads that contain only libraries. */
const THREADS = {
  layoutThread: "extension/engine/entry/layoutThread.ts",
  readingThread: "extension/engine/entry/readingThread.ts",
};

/** Files of all Node programs in dist/. */
export const NODE_PROGRAMS = [
  ...Object.keys({ ...PROGRAMS, ...STARTERS, ...THREADS }).map((name) => `${name}.js`),
  ...Object.keys({ ...STARTED, ...LOADED }).map((name) => `${name}.cjs`),
];

/** Options of CommonJS bundles that ask for their place as ES modules do. @returns {esbuild.BuildOptions} */
const commonJs = () => ({
  outdir: "dist",
  outExtension: { ".js": ".cjs" },
  format: "cjs",
  // Strict, as ES modules are: esbuild's own directive would come second.
  banner: {
    js: '"use strict";\nconst __importMetaUrl = require("node:url").pathToFileURL(__filename).href;',
  },
  define: { "import.meta.url": "__importMetaUrl" },
});

/** @param {boolean} release @returns {esbuild.BuildOptions} */
const common = (release) => ({
  absWorkingDir: root,
  bundle: true,
  metafile: true,
  write: false,
  sourcemap: release ? false : "linked",
  legalComments: "none",
  logLevel: "warning",
});

/** Names of classes are shown to users, so those of Node programs are kept. @param {boolean} release */
const nodeOptions = (release) => ({
  ...common(release),
  platform: /** @type {const} */ ("node"),
  target: "node20",
  minifyWhitespace: release,
  minifySyntax: release,
});

/** Options of programs that compute. @param {boolean} release */
export const programOptions = (release) => ({
  ...nodeOptions(release),
  outdir: "dist",
  format: /** @type {const} */ ("esm"),
  // print(model) and errors show names of classes, which esbuild would change in self-referencing classes.
  keepNames: true,
  // tfjs ships ES modules under "module": smaller bundles, since unused kernels are dropped.
  mainFields: ["module", "main"],
  external: ["esbuild"],
  banner: { js: ESM_BANNER },
});

/** @param {boolean} release @returns {(Omit<esbuild.BuildOptions, "entryPoints"> & { entryPoints: Record<string, string> })[]} */
export function bundles(release) {
  return [
    {
      ...nodeOptions(release),
      ...commonJs(),
      entryPoints: { extension: "extension/main.ts" },
      external: ["vscode"],
    },
    {
      ...nodeOptions(release),
      // It is sent to other machines and evaluated there, so it is one script.
      entryPoints: { remoteAgent: "extension/supervisor/remote/main.ts" },
      outdir: "dist",
      outExtension: { ".js": ".cjs" },
      format: "cjs",
      minifyWhitespace: true,
      sourcemap: false,
    },
    {
      ...nodeOptions(release),
      entryPoints: { tsPlugin: "extension/tsPlugin/plugin.ts" },
      outdir: "dist",
      outExtension: { ".js": ".cjs" },
      format: "cjs",
      // The server expects the function itself.
      footer: { js: "module.exports = module.exports.default;" },
    },
    { ...programOptions(release), entryPoints: PROGRAMS, plugins: [TFJS_APART] },
    {
      ...programOptions(release),
      ...commonJs(),
      entryPoints: { ...STARTED, ...LOADED },
      // Node 20 has no import() in code that was compiled before: they become require().
      supported: { "dynamic-import": false },
      plugins: [TFJS_APART],
    },
    { ...nodeOptions(release), entryPoints: STARTERS, outdir: "dist", format: "esm", sourcemap: false },
    {
      ...programOptions(release),
      // A plan that needs it can't wait for an import.
      entryPoints: { tfjs: "extension/executors/tfjs/library.ts" },
      outExtension: { ".js": ".cjs" },
      format: "cjs",
      banner: {},
      plugins: [OWN_FETCH],
    },
    {
      ...nodeOptions(release),
      entryPoints: THREADS,
      outdir: "dist",
      format: "esm",
      banner: { js: ESM_BANNER },
    },
    {
      ...common(release),
      entryPoints: webviewEntries(),
      outdir: "dist/webview",
      platform: "browser",
      target: "es2022",
      format: "iife",
      loader: { ".ttf": "file", ".svg": "text" },
      // Minified in every build: browsers load it while the user waits, and tests measure what users get.
      minify: true,
    },
  ];
}

/** `webview/<view>/main.ts` → `<view>.js`, `webview/<view>/worker.ts` → `<view>Worker.js`. */
export function webviewEntries() {
  /** @type {Record<string, string>} */
  const entries = {};
  for (const view of fs.readdirSync(inRoot("webview")).sort())
    for (const [file, suffix] of /** @type {const} */ ([
      ["main.ts", ""],
      ["worker.ts", "Worker"],
    ]))
      if (fs.existsSync(inRoot("webview", view, file))) entries[view + suffix] = `webview/${view}/${file}`;
  return entries;
}
