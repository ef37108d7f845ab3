import { createRequire } from "node:module";
import type { Command } from "commander";
import type * as mcp from "../mcp/serve.ts";
import { action, engineOptions, examples, demandFolder } from "./command.ts";
import { interruptSignal } from "./exit.ts";
import { printStderr } from "./output.ts";

export function register(program: Command): void {
  const command = program
    .command("mcp")
    .description(
      "serve a folder's models and runs to an agent, by the Model Context Protocol on standard input and output",
    )
    .argument("[folder]", "the workspace folder; nothing outside of it is read, written or run", ".");
  examples(
    command,
    `
A client starts this command. Its user confirms what runs code of the folder: tools say so by their annotations.
docs/agents.md lists the tools.

Example of a client's configuration:
  { "servers": { "layerwise": { "type": "stdio", "command": "layerwise", "args": ["mcp", "path/of/workspace"] } } }`,
  ).action(action(serve));
}

async function serve(folder: string): Promise<number> {
  demandFolder(folder);
  // Not a part of this bundle: other commands start without it.
  const { serve: run } = createRequire(import.meta.url)("./mcp.cjs") as typeof mcp;
  await run(folder, engineOptions(), { signal: interruptSignal(), log: printStderr });
  return 0;
}
