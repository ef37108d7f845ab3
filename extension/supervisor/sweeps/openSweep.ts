import { EngineError } from "../../protocol/errors.ts";
import type { TrialRow } from "../../protocol/sweeps/sweep.ts";
import { OptunaStudy } from "./optuna.ts";
import type { Plan } from "./plan.ts";
import { needsOptuna, Search } from "./search.ts";
import { Sweep, type SweepParts } from "./sweep.ts";
import { readSweep, SweepWriter } from "./sweepDirectory.ts";
import { takeSweep } from "./sweepLock.ts";

export interface OpenOptions extends Pick<SweepParts, "workers" | "engine" | "on" | "events"> {
  /** Also from an owner that can't be seen from here. */
  force?: boolean;
  /** Gives a Python that has Optuna. Without it, a sweep that needs Optuna is refused. */
  python?: () => Promise<string>;
}

/** A sweep that this process owns. */
export interface OpenSweep {
  readonly directory: string;
  /** Ready to run, once. */
  readonly sweep: Sweep;
  /** Trials of before. */
  readonly before: readonly TrialRow[];
  /** Trials in all. */
  readonly size: number;
  /** Gives it up, after it has run. */
  readonly close: () => void;
}

/**
 * Takes a planned sweep for this process.
 * @throws EngineError "busy" or "locked" if another process owns it; "optuna"
 */
export async function openSweep(
  { directory, record, trials, source, fresh }: Plan,
  { force = false, python, ...parts }: OpenOptions,
): Promise<OpenSweep> {
  const release = await takeSweep(directory, force);
  let study: OptunaStudy | undefined;
  const close = (): void => {
    study?.close();
    release();
  };
  try {
    // Another process may have resumed the sweep before this one got the lock.
    const before = fresh ? trials : (await readSweep(directory)).trials;
    const writer = await SweepWriter.open(directory);
    // Optuna's installation can take minutes: the sweep can be found and resumed from now on.
    if (fresh) await writer.record(record);
    if (needsOptuna(record)) {
      if (python === undefined) throw noOptuna();
      study = await OptunaStudy.open(await python(), directory, record, before);
    }
    const search = new Search(record, before, study);
    const sweep = new Sweep(record, before, source, { ...parts, writer, search });
    return { directory, sweep, before, size: search.size, close };
  } catch (error) {
    close();
    throw error;
  }
}

const noOptuna = (): EngineError =>
  new EngineError({
    code: "optuna",
    message: "This sweep searches or prunes with Optuna, which is installed for the command line only.",
    hint: "Continue it there: layerwise sweep resume NAME.",
  });
