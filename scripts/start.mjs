// @ts-check
/**
 * `npm start`: prepares the clone, then trains the tutorial's network and the digits CNN without a window, in the workspace that
 * `npm run vscode` opens.
 */
import path from "node:path";
import { copyExamples, exampleWorkspace } from "./example-workspace.mjs";
import { ensureNativeEngine } from "./native-engine.mjs";
import { inRoot, main, root, run } from "./project.mjs";
import { setup } from "./setup.mjs";

/** The commands to run, in order. @type {{ title: string, args: string[] }[]} */
const JOBS = [
  {
    title: "The tutorial: define a network, train it, predict, save and load it again",
    args: ["run", "tutorial.nn.ts"],
  },
  { title: "A CNN on 1,797 handwritten digits", args: ["train", "digits.nn.ts"] },
  { title: "Its accuracy on digits it was not trained on", args: ["evaluate", "digits.nn.ts"] },
];

await main(async () => {
  await setup();
  await ensureNativeEngine();
  copyExamples(exampleWorkspace);
  const workspace = path.relative(root, exampleWorkspace);
  for (const { title, args } of JOBS) {
    process.stdout.write(`\n${title}\n${workspace}$ layerwise ${args.join(" ")}\n\n`);
    const exit = await run(process.execPath, [inRoot("dist", "cli.js"), ...args], { cwd: exampleWorkspace });
    if (exit !== 0) return exit;
  }
  process.stdout.write(
    [
      "",
      `Weights and curves are in ${path.join(workspace, ".layerwise", "runs")}.`,
      'The same in VS Code: npm run vscode, open digits.nn.ts, click "Train" above the class.',
      "The network that was just trained is in the sidebar, under Checkpoints.",
      "",
    ].join("\n"),
  );
  return 0;
});
