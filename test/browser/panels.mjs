// @ts-check
/**
 * Tests of the webviews in a browser, without VS Code around them: the real scripts and styles under the real content
 * security policy and theme variables, against a host that plays recorded runs. Screenshots go to
 * test/results/screenshots/. Exit code 1 when a test failed.
 *
 *   node test/browser/panels.mjs [part of a test's name]
 */
import { fork } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import * as esbuild from "esbuild";
import { ensureChromium } from "../../scripts/chromium.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
const results = path.join(root, "test", "results");
const out = path.join(results, "panels");
const tests = path.join(out, "tests.mjs");
/** The part of the tests that this process runs, for the one that has built them. */
const part = process.env["LAYERWISE_PANELS_PART"];
const [only] = process.argv.slice(2);

if (part !== undefined || only !== undefined) {
  if (part === undefined) await build();
  /** @type {typeof import("./panels/main.ts")} */
  const { run } = await import(pathToFileURL(tests).href);
  const failed = await run({ root, results, bundles: out, chromium: ensureChromium(), only, part });
  process.exit(failed > 0 ? 1 : 0);
}

await build();
ensureChromium();
let [passed, failed] = [0, 0];
await Promise.all([runPart("even"), runPart("odd")]);
await runPart("measured");
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);

/** @param {string} name */
async function runPart(name) {
  const child = fork(fileURLToPath(import.meta.url), [], {
    env: { ...process.env, LAYERWISE_PANELS_PART: name },
    silent: true,
  });
  let [output, rest] = ["", ""];
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding("utf8").on("data", (/** @type {string} */ text) => {
      output += text;
      // A line at a time: two processes write.
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) if (!/^\d+ passed/.test(line)) console.log(line);
    });
  const code = await new Promise((resolve) => child.once("close", resolve));
  const counts = /(\d+) passed, (\d+) failed\s*$/.exec(output)?.slice(1).map(Number) ?? [];
  passed += counts[0] ?? 0;
  failed += counts[1] || (code === 0 ? 0 : 1);
}

async function build() {
  fs.mkdirSync(out, { recursive: true });
  const views = ["training", "architecture", "evaluation", "tensors"];
  await esbuild.build({
    absWorkingDir: root,
    bundle: true,
    logLevel: "warning",
    entryPoints: Object.fromEntries(views.map((view) => [view, `webview/${view}/main.ts`])),
    outdir: out,
    minify: true,
    platform: "browser",
    target: "es2022",
    format: "iife",
  });
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
}
