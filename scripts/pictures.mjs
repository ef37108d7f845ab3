// @ts-check
/**
 * `npm run pictures`: runs the browser tests to take the pictures of the README and, in each theme, of the walkthrough, and
 * copies them to media/. `-- --keep` copies those of the last run.
 */
import fs from "node:fs";
import { inRoot, main, run } from "./project.mjs";

/** The README's pictures, by the browser tests' names. @type {Record<string, string>} */
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
