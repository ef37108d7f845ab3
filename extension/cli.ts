import { readFileSync } from "node:fs";
import { inspect } from "node:util";
import { Command, CommanderError } from "commander";
import * as attachCommand from "./cli/remote/attach.ts";
import * as engineCommand from "./cli/engineCommand.ts";
import * as evaluateCommand from "./cli/evaluate.ts";
import { CliError, EXIT } from "./cli/exit.ts";
import { onOutputError, writeStdout, printStderr, writeStderr } from "./cli/output.ts";
import * as exportCommand from "./cli/export.ts";
import * as importCommand from "./cli/runs/import.ts";
import * as inspectCommand from "./cli/inspectTensors.ts";
import * as lrFindCommand from "./cli/lrFind.ts";
import * as mcpCommand from "./cli/mcp.ts";
import * as predictCommand from "./cli/predict.ts";
import * as printCommand from "./cli/print.ts";
import * as profileCommand from "./cli/profile.ts";
import * as runCommand from "./cli/run.ts";
import * as runsCommand from "./cli/runs/list.ts";
import * as summaryCommand from "./cli/summary.ts";
import * as sweepCommand from "./cli/sweep/command.ts";
import * as trainCommand from "./cli/train.ts";

/** The modules of cli/ with `register(program)`, in the order of --help. */
const COMMANDS: readonly { register: (program: Command) => void }[] = [
  trainCommand,
  attachCommand,
  sweepCommand,
  evaluateCommand,
  predictCommand,
  lrFindCommand,
  profileCommand,
  exportCommand,
  summaryCommand,
  printCommand,
  inspectCommand,
  runCommand,
  runsCommand,
  importCommand,
  mcpCommand,
  engineCommand,
];

/** package.json lies one folder up, both from dist/ and from here. */
function version(): string {
  const text = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

async function main(): Promise<number> {
  try {
    process.cwd();
  } catch {
    printStderr("error: The current folder has been deleted or can't be read. Change to another one.");
    return EXIT.failure;
  }
  const program = new Command("layerwise")
    .description("Develop neural networks in TypeScript: PyTorch's API and numbers on TensorFlow's kernels.")
    .version(version())
    .showHelpAfterError("(--help lists commands and options)")
    .addHelpText(
      "after",
      `
Environment:
  LAYERWISE_DEVICE   auto (default), native, gpu, kernels, wasm or cpu: the backend of all commands
  LAYERWISE_CACHE    folder of the native engine instead of the user's cache folder

Exit codes: 0 done, ${EXIT.failure} failed, ${EXIT.usage} wrong command line, ${EXIT.interrupted} interrupted.`,
    )
    .exitOverride()
    .configureOutput({ writeOut: writeStdout, writeErr: writeStderr });
  for (const { register } of COMMANDS) register(program);
  try {
    await program.parseAsync();
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT.usage;
    if (error instanceof CliError) {
      if (error.message !== "") printStderr(error.message);
      return error.exitCode;
    }
    printStderr(`internal: ${inspect(error)}`);
    return EXIT.failure;
  }
}

// A reader that closes the pipe early, such as head, is not a failure.
onOutputError((error) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(0);
});
async function start(): Promise<void> {
  process.exitCode = await main();
}

void start();
