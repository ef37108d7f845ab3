// @ts-check
/**
 * `node test/prefetch.mjs TIER …`: installs what test tiers need beside npm's packages and the native engine, into the user's
 * cache folder. `npm test` runs it while tiers compute that need none of it. A failure is the tier's to report: it tries again.
 */
import { pathToFileURL } from "node:url";
import { bundle } from "./bundle.mjs";
import { main } from "../scripts/project.mjs";
import { prepareCompiler } from "../scripts/package/prebuilt.mjs";
import { ensureChromium } from "../scripts/vscode/chromium.mjs";
import { ensureVscode, RELEASES } from "../scripts/vscode/server.mjs";

const silent = { log: () => {} };

const ray = async () => {
  /** @type {typeof import("./cluster/remote/ray.ts")} */
  const { prepareRay } = await import(
    pathToFileURL(await bundle("test/cluster/remote/ray.ts", "out/test/ray.mjs")).href
  );
  prepareRay();
};
const chromium = () => ensureChromium(silent);
const newest = () => ensureVscode(silent);
const oldest = () => ensureVscode({ ...silent, release: RELEASES.oldest });

/** In the order in which tiers run. @type {Record<string, (() => unknown)[]>} */
const NEEDS = {
  cluster: [ray],
  install: [prepareCompiler],
  vscode: [chromium, newest, oldest],
  browser: [chromium, newest],
};

await main(async () => {
  const needed = process.argv.slice(2).flatMap((tier) => NEEDS[tier] ?? []);
  for (const install of new Set(needed))
    try {
      await install();
    } catch {
      // The tier says why.
    }
});
