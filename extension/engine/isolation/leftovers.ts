/** Finds out what user code has left running in this process. */
import asyncHooks, { createHook } from "node:async_hooks";
import { Channel, channel, subscribe } from "node:diagnostics_channel";
import inspector from "node:inspector";
import { syncBuiltinESMExports } from "node:module";
import perfHooks from "node:perf_hooks";

const activeResources = process.getActiveResourcesInfo.bind(process);

/**
 * Resources that keep a process alive. Streams and requests are left out since they end by themselves, ports of threads
 * since the layout has one.
 */
const LASTING =
  /^(?:Timeout|(?:TCP|Pipe)Server\w*|TCP(?:Socket)?Wrap|UDP\w*|FSEvent\w*|StatWatcher|Signal\w*)$/i;

/** Async resources that Node makes for itself while code runs; all others call back the code that began them. */
const PASSING = /^(?:PROMISE|TickObject|Microtask|WRITEWRAP|SHUTDOWNWRAP|ZLIB)$/;

/** Processes, threads and listeners that were started and are not this program's own. */
const started: string[] = [];
/** Unfinished async resources of user code, by Node's ids; also those that don't keep a process alive. */
const pending = new Map<number, { type: string; resource: object }>();
let own = false;

/** Whatever starts from now on is user code's, except inside {@link ours}. */
export function watchStarts(): void {
  subscribe("child_process", () => note("a child process"));
  subscribe("worker_threads", () => note("a worker thread"));
  noting(Atomics, "waitAsync");
  noting(globalThis, "FinalizationRegistry");
  noting(globalThis, "PerformanceObserver");
  noting(perfHooks, "PerformanceObserver");
  noting(asyncHooks, "createHook");
  // A channel has another prototype as soon as it has subscribers.
  for (const one of [channel("child_process"), Channel.prototype]) {
    const prototype: object = one === Channel.prototype ? one : Object.getPrototypeOf(one);
    noting(prototype, "subscribe");
    noting(prototype, "bindStore");
  }
  syncBuiltinESMExports();
  hook.enable();
}

const hook = createHook({
  init(id, type, _, resource) {
    if (!own && !PASSING.test(type)) pending.set(id, { type, resource });
  },
  destroy: (id) => void pending.delete(id),
});

/** Replaces a function or class by one that notes its use. */
function noting(object: object, name: string): void {
  const property = Reflect.getOwnPropertyDescriptor(object, name);
  const target: unknown = property?.value;
  if (property === undefined || typeof target !== "function") return;
  const value = new Proxy(target, {
    apply(_, self, args: unknown[]) {
      note(name);
      return Reflect.apply(target, self, args) as unknown;
    },
    construct(_, args: unknown[], heir) {
      note(name);
      return Reflect.construct(target, args, heir) as object;
    },
  });
  Reflect.defineProperty(object, name, { ...property, value });
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

/** Names resources that are left after a file's preview: "Timeout", "TCPServerWrap", "a child process". */
export function leftovers(): string[] {
  const found = activeResources().filter((name) => LASTING.test(name));
  const debugged = inspector.url() === undefined ? [] : ["an inspector"];
  const later: string[] = [];
  for (const { type, resource } of pending.values())
    // Node reports the end of timers late.
    if (Reflect.get(resource, "_destroyed") !== true) later.push(type);
  return [...found, ...later, ...started, ...debugged];
}
