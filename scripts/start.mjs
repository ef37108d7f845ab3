// @ts-check
/**
 * `npm start`: makes the clone ready, then does the main job headless on real input. Trains the tutorial's network and
 * the digits CNN, and says how to open the same in VS Code.
 */
import { ensureNativeEngine } from "./native-engine.mjs";
import { inRoot, main, run } from "./project.mjs";
import { setup } from "./setup.mjs";

const DIGITS = "media/examples/digits.nn.ts";

/** The command line's calls, in order. @type {{ title: string, args: string[] }[]} */
const JOBS = [
  {
    title: "The tutorial: define, train, predict, save and load again",
    args: ["run", "media/examples/tutorial.nn.ts"],
  },
  {
    title: "A CNN on the bundled handwritten digits, evaluated on images it has not seen",
    args: ["train", DIGITS],
  },
];

await main(async () => {
  await setup();
  await ensureNativeEngine();
  for (const { title, args } of JOBS) {
    process.stdout.write(`\n${title}\n$ layerwise ${args.join(" ")}\n\n`);
    const exit = await run(process.execPath, [inRoot("dist", "cli.js"), ...args]);
    if (exit !== 0) return exit;
  }
  process.stdout.write(
    `\nThe same in VS Code: npm run vscode, open ${DIGITS} and click "Train" above the class.\n`,
  );
  return 0;
});
