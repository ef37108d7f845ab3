// @ts-check
/**
 * Tests of the webviews in a browser, without VS Code around them: the real scripts and styles under the real content
 * security policy and theme variables, against a host that plays recorded runs. Screenshots go to
 * test/results/screenshots/. Exit code 1 when a test failed.
 *
 *   node test/browser/panels.mjs [part of a test's name]
 *   LAYERWISE_TEST_LATE=1000 node test/browser/panels.mjs   # late answers of the host
 */
import * as esbuild from "esbuild";
import { ensureChromium } from "../../scripts/vscode/chromium.mjs";
import { inRoot, isMain, main, root } from "../../scripts/project.mjs";
import { bundle } from "../bundle.mjs";
import { conclude, runLanes } from "../lanes.mjs";

const VIEWS = [
  "training",
  "architecture",
  "evaluation",
  "tensors",
  "onnx",
  "sweep",
  "data",
  "dataFile",
  "tensor",
];

if (isMain(import.meta.url)) {
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(130));
  const [only = ""] = process.argv.slice(2);
  await main(async () => {
    return conclude(await runPanels({ LAYERWISE_TEST_ONLY: only }));
  });
  process.exit();
}

/** @param {Record<string, string>} [env] */
export async function runPanels(env = {}) {
  ensureChromium();
  const bundles = inRoot("out/test/panels");
  await esbuild.build({
    absWorkingDir: root,
    bundle: true,
    logLevel: "warning",
    entryPoints: Object.fromEntries(VIEWS.map((view) => [view, `webview/${view}/main.ts`])),
    outdir: bundles,
    minify: true,
    platform: "browser",
    target: "es2022",
    format: "iife",
  });
  const tests = await bundle("test/browser/panels/main.ts", "out/test/panels.mjs");
  return runLanes(tests, { ...env, LAYERWISE_PANELS: bundles });
}
