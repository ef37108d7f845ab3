// @ts-check
/**
 * `npm run pictures`: has the browser tier take the pictures of the README and the walkthrough, those of the walkthrough
 * in each theme, and keeps them in media/. `-- --keep` takes those of the last run.
 */
import fs from "node:fs";
import { inRoot, main, run } from "./project.mjs";

/** Of the README, by the browser tier's names. @type {Record<string, string>} */
const SCREENSHOTS = {
  "training-light": "training-light",
  "architecture-compared-light": "architecture-compared",
  "evaluation-light": "evaluation-light",
};

await main(async () => {
  if (!process.argv.includes("--keep")) {
    const env = { LAYERWISE_PICTURES: "1" };
    const exit = await run(process.execPath, ["test/browser/run.mjs"], { env });
    if (exit !== 0) return exit;
  }
  for (const [taken, name] of Object.entries(SCREENSHOTS))
    fs.copyFileSync(
      inRoot("test/results/screenshots", `${taken}.png`),
      inRoot("media/screenshots", `${name}.png`),
    );
  for (const name of fs.readdirSync(inRoot("test/results/pictures")))
    fs.copyFileSync(inRoot("test/results/pictures", name), inRoot("media/walkthrough", name));
  return 0;
});
