/** Finds out what user code has left running in this process. */
import { subscribe } from "node:diagnostics_channel";
import inspector from "node:inspector";

const activeResources = process.getActiveResourcesInfo.bind(process);

/**
 * What keeps a process at work; not its streams and requests, which end by themselves, nor ports of threads, of which
 * the layout's is one.
 */
const LASTING =
  /^(?:Timeout|(?:TCP|Pipe)Server\w*|TCP(?:Socket)?Wrap|UDP\w*|FSEvent\w*|StatWatcher|Signal\w*)$/i;

/** Processes and threads that were started and are not this program's own. */
const started: string[] = [];
let own = false;

/** Processes and threads that start from now on are user code's, except inside {@link ours}. */
export function watchStarts(): void {
  subscribe("child_process", () => note("a child process"));
  subscribe("worker_threads", () => note("a worker thread"));
}

function note(name: string): void {
  if (!own) started[started.length] = name;
}

/** Starts a process or thread of this program's own. */
export function ours<T>(start: () => T): T {
  own = true;
  try {
    return start();
  } finally {
    own = false;
  }
}

/** What is still there although the file's preview is over: "Timeout", "TCPServerWrap", "a child process". */
export function leftovers(): string[] {
  const found = activeResources().filter((name) => LASTING.test(name));
  const debugged = inspector.url() === undefined ? [] : ["an inspector"];
  return [...found, ...started, ...debugged];
}
