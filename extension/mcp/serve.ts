// The program of `layerwise mcp`, in a bundle of its own: other commands don't load the protocol's library.
import { serveStdio, StdioServerTransport } from "@modelcontextprotocol/server/stdio";
import { PreviewEngine } from "../supervisor/engines/preview.ts";
import type { EngineOptions } from "../supervisor/engines/process.ts";
import { bounded } from "./answers.ts";
import { RunManager } from "./runManager.ts";
import { createServer } from "./server.ts";
import type { Services } from "./services.ts";
import { SweepManager } from "./sweepManager.ts";
import { Workspace } from "./workspace.ts";

/** Bytes of a message that a client sends: paths, ids and numbers need some hundred. */
const MESSAGE_LIMIT = 2 ** 20;

/** Maximum number of the connection's problems that are reported, and of characters of each. */
const MOST_PROBLEMS = 50;
const PROBLEM_LENGTH = 200;

/** Opens the services of a folder's tools. */
async function openServices(folder: string, engine: EngineOptions): Promise<Services> {
  return {
    workspace: await Workspace.open(folder),
    engine,
    preview: new PreviewEngine(() => engine),
    runs: new RunManager(engine),
    sweeps: new SweepManager(engine),
  };
}

/**
 * Serves one client on standard input and output until it closes them. Runs and sweeps end with the session.
 * @param log Takes problems of the connection, for standard error
 */
export async function serve(
  folder: string,
  engine: EngineOptions,
  { signal, log }: { signal: AbortSignal; log: (text: string) => void },
): Promise<void> {
  const services = await openServices(folder, engine);
  // Files that a program writes by relative names belong in its workspace, wherever the client runs.
  process.chdir(services.workspace.root);
  const ended = new Promise<void>((resolve) => {
    process.stdin.once("end", resolve);
    process.stdin.once("close", resolve);
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
  // A client that doesn't read standard error must not block the server.
  let left = MOST_PROBLEMS;
  const tell = ({ message }: Error): void => {
    if (left-- > 0) log(`mcp: ${bounded(message.replaceAll(/\s+/g, " "), PROBLEM_LENGTH)}`);
  };
  const transport = new StdioServerTransport(undefined, undefined, { maxBufferSize: MESSAGE_LIMIT });
  const handle = serveStdio(() => createServer(services), {
    transport,
    onerror: tell,
  });
  // The transport closes itself after a message that is too long, and pauses standard input.
  const { onclose } = transport;
  const closed = new Promise<void>((resolve) => {
    // oxlint-disable-next-line unicorn/prefer-add-event-listener -- a transport has no events
    transport.onclose = () => {
      onclose?.();
      resolve();
    };
  });
  await Promise.race([ended, closed]);
  await handle.close();
  const { runs, sweeps, preview } = services;
  await Promise.all([runs.dispose(), sweeps.dispose(), preview.dispose()]);
}
