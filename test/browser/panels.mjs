// @ts-check
/**
 * Tests of the webviews in a browser, without VS Code around them: the real scripts and styles under the real content
 * security policy and theme variables, against a host that plays recorded runs. Screenshots go to
 * test/results/screenshots/. Exit code 1 when a test failed.
 *
 *   node test/browser/panels.mjs [part of a test's name]
 */
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import * as esbuild from "esbuild";
import { ensureChromium } from "../../scripts/chromium.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
const results = path.join(root, "test", "results");
const out = path.join(results, "panels");
fs.mkdirSync(out, { recursive: true });

const views = ["training", "architecture", "evaluation", "tensors"];
await esbuild.build({
  absWorkingDir: root,
  bundle: true,
  logLevel: "warning",
  entryPoints: Object.fromEntries(views.map((view) => [view, `webview/${view}/main.ts`])),
  outdir: out,
  platform: "browser",
  target: "es2022",
  format: "iife",
});
const tests = path.join(out, "tests.mjs");
await esbuild.build({
  absWorkingDir: root,
  bundle: true,
  logLevel: "warning",
  entryPoints: ["test/browser/panels/main.ts"],
  outfile: tests,
  platform: "node",
  target: "node20",
  format: "esm",
  packages: "external",
});

/** @type {typeof import("./panels/main.ts")} */
const { run } = await import(pathToFileURL(tests).href);
const failed = await run({ root, results, bundles: out, chromium: ensureChromium(), only: process.argv[2] });
process.exit(failed > 0 ? 1 : 0);
