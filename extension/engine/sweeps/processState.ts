/**
 * Runs several trials in one process, one after another: a trial may take less time than loading TensorFlow. Each computes the
 * same numbers as in a new process, since the library's state is reset. A process is not reused if user code has left
 * something running or changed.
 */
import { setPrintOptions } from "../../tensor/core/print.ts";
import { setWarningSink } from "../../tensor/core/warnings.ts";
import { getRngState, setRngState } from "../../tensor/functions/creation/random.ts";
import { runtime } from "../../tensor/recording/runtime.ts";
import { flushOpenEvents } from "../files/userEvents.ts";
import { library } from "../host/library.ts";
import { Builtins } from "../isolation/builtins.ts";
import { dropExecutor } from "../warmUp.ts";

/** Bytes that a process may grow beyond its size after its first run: what runs leak must not add up. */
const GROWTH = 300 * 2 ** 20;

/** The state of a process before its first run, to which it returns after each. */
export class ProcessState {
  readonly #generator = getRngState();
  readonly #builtins = new Builtins(library);
  readonly #working = working();
  #size: number | undefined;

  /**
   * Restores the state before the run.
   * @returns false if that isn't possible and the process should end
   */
  restore(): boolean {
    flushOpenEvents();
    runtime.reset();
    dropExecutor();
    setRngState(this.#generator);
    setPrintOptions({ profile: "default" });
    // Setting the sink also resets which warnings were shown.
    setWarningSink(setWarningSink(() => undefined));
    const { rss } = process.memoryUsage();
    this.#size ??= rss;
    const changed = this.#builtins.restoreRest().filter((name) => !OWN.test(name));
    return rss <= this.#size + GROWTH && changed.length === 0 && !this.#isAtWork();
  }

  #isAtWork(): boolean {
    return [...working()].some(([name, count]) => count > (this.#working.get(name) ?? 0));
  }
}

/** Replaced for every run. */
const OWN = /^console\b/;
/** Resources of Layerwise's own channels and threads; all others are user code's. */
const OURS =
  /^(?:PipeWrap|TTYWrap|MessagePort|WriteWrap|ShutdownWrap|PROMISE|TickObject|Immediate|CheckImmediate)$/;

/** Counts the resources that keep this process running, by kind. */
function working(): Map<string, number> {
  const resources = new Map<string, number>();
  for (const name of process.getActiveResourcesInfo())
    if (!OURS.test(name)) resources.set(name, (resources.get(name) ?? 0) + 1);
  return resources;
}
