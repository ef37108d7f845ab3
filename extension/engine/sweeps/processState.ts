/**
 * Serving several runs from one process, one after the other. A trial of a sweep may take less time than TensorFlow takes to
 * load. Each run computes the same numbers as in a new process: what the library remembers is reset. A process
 * whose user code has left something running or changed is not used again.
 */
import { setPrintOptions } from "../../tensor/core/print.ts";
import { setWarningSink } from "../../tensor/core/warnings.ts";
import { getRngState, setRngState } from "../../tensor/functions/creation/random.ts";
import { runtime } from "../../tensor/recording/runtime.ts";
import { dropExecutor } from "../warmUp.ts";

/** Bytes that a process may grow beyond its size after its first run: what runs leak must not add up. */
const GROWTH = 300 * 2 ** 20;

/** What user code finds and may change, compared by identity. */
interface Surroundings {
  readonly globals: ReadonlyMap<PropertyKey, unknown>;
  readonly env: string;
  readonly folder: string;
  readonly listeners: string;
  readonly resources: ReadonlyMap<string, number>;
}

/** The state of a process before its first run, to which it returns after each. */
export class ProcessState {
  readonly #generator = getRngState();
  readonly #before = surroundings();
  #size: number | undefined;

  /**
   * Makes the process as it was before the run.
   * @returns false when that isn't possible, so that the process should end
   */
  restore(): boolean {
    runtime.reset();
    dropExecutor();
    setRngState(this.#generator);
    setPrintOptions({ profile: "default" });
    // A change of the sink forgets which warnings were shown.
    setWarningSink(setWarningSink(() => undefined));
    const { rss } = process.memoryUsage();
    this.#size ??= rss;
    return rss <= this.#size + GROWTH && isUnchanged(this.#before, surroundings());
  }
}

/** Replaced for every run. */
const OWN: ReadonlySet<PropertyKey> = new Set(["console"]);
/** What this program's own channels and threads have; all else that keeps a process at work is user code's. */
const OURS =
  /^(?:PipeWrap|TTYWrap|MessagePort|WriteWrap|ShutdownWrap|PROMISE|TickObject|Immediate|CheckImmediate)$/;

function surroundings(): Surroundings {
  const globals = new Map<PropertyKey, unknown>();
  for (const name of Reflect.ownKeys(globalThis)) {
    const property = Reflect.getOwnPropertyDescriptor(globalThis, name);
    // Getters load parts of Node when they are called.
    if (!OWN.has(name)) globals.set(name, property?.get ?? property?.value);
  }
  const resources = new Map<string, number>();
  for (const name of process.getActiveResourcesInfo())
    if (!OURS.test(name)) resources.set(name, (resources.get(name) ?? 0) + 1);
  const listeners = process.eventNames().map((name) => `${String(name)}: ${process.listenerCount(name)}`);
  return {
    globals,
    env: JSON.stringify(process.env),
    folder: process.cwd(),
    listeners: listeners.join(),
    resources,
  };
}

function isUnchanged(before: Surroundings, now: Surroundings): boolean {
  if (now.env !== before.env || now.folder !== before.folder || now.listeners !== before.listeners)
    return false;
  for (const [name, count] of now.resources) if (count > (before.resources.get(name) ?? 0)) return false;
  for (const [name, value] of now.globals)
    if (!before.globals.has(name) || !Object.is(before.globals.get(name), value)) return false;
  return before.globals.size === now.globals.size;
}
