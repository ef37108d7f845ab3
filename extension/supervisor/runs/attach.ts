import { lstat } from "node:fs/promises";
import { runPath } from "../../files/runFiles.ts";
import { controlsBy, RUN_CONTROLS, type RunControls } from "../../protocol/controls.ts";
import { isLive, RUN_FILE } from "../../protocol/run.ts";
import { isRunning, STOP_THERE } from "../../processes/signals.ts";
import { EngineError, type UserError } from "../../protocol/errors.ts";
import { MetricsReader } from "./metrics.ts";
import { isUncertain, isUnseen, processOf } from "./liveness.ts";
import { readRecord, readRun, type StoredRun } from "./runDirectory.ts";
import { RunSession } from "./session.ts";
import { demandTrust } from "../trust.ts";

export interface AttachOptions {
  /** Milliseconds between two polls of the run directory. Default 500. */
  interval?: number;
  /** Milliseconds for which a run that gives no sign of life is followed, as it may give one. Default 0. */
  patience?: number;
  /** Milliseconds a run has to end after `stop` before it is killed. Default 10,000; of one elsewhere ten minutes. */
  stopTimeout?: number;
}

/** Follows a run by its directory, also one of another process. */
export interface Attachment {
  readonly session: RunSession;
  /** Settles at the end of the run or after {@link detach}. */
  readonly done: Promise<void>;
  /** Stops polling; the run continues. */
  detach(): void;
}

/** Opens a run from disk. Follows a running one until it ends or is detached. */
export async function openRun(directory: string, options: AttachOptions = {}): Promise<Attachment> {
  const run = await readRun(directory);
  const session = new RunSession(directory, run.record, goesOn(run));
  session.life = run.life;
  const reader = new MetricsReader(directory);
  await readAll(reader, session);
  const { patience = 0 } = options;
  const waits = patience > 0 && isLive(run.record) && isUncertain(run.life);
  if (!session.live && !waits) return { session, done: Promise.resolve(), detach: () => undefined };
  // The weights of a run on another machine have to come here.
  const stopTimeout = options.stopTimeout ?? (run.record.on === undefined ? 10_000 : 600_000);
  if (session.live) session.control = signals(session, stopTimeout);
  return follow(session, reader, {
    interval: options.interval ?? 500,
    patience,
    onFound: () => (session.control ??= signals(session, stopTimeout)),
  });
}

const DELETED: UserError = {
  code: "deleted",
  message: "The run's directory was deleted while it was followed.",
};

/** Whether to follow a run. */
function goesOn({ record, life }: StoredRun): boolean {
  return isLive(record) && !isUnseen(life);
}

/**
 * Milliseconds between two questions to the system whether a process is the run's own: programs answer them elsewhere.
 * That a process is gone is seen at once.
 */
const PROOF_INTERVAL = process.platform === "linux" ? 0 : 20_000;

/** Milliseconds between two looks for a sign of life. */
const SILENT_INTERVAL = 2000;

interface Following {
  interval: number;
  patience: number;
  /** Called when the run gives a sign of life. */
  onFound: () => void;
}

function follow(
  session: RunSession,
  reader: MetricsReader,
  { interval, patience, onFound }: Following,
): Attachment {
  const stopped = new AbortController();
  const { directory } = session;
  // Polled, because not every file system reports changes.
  const done = (async () => {
    let seen = 0;
    let asked = performance.now();
    let heard = asked;
    const waits = (): boolean =>
      isLive(session.record) && isUncertain(session.life) && performance.now() - heard < patience;
    while (!stopped.signal.aborted && (session.live || waits())) {
      await pause(interval, stopped.signal);
      await readAll(reader, session);
      const written = await runPath(directory, RUN_FILE)
        .then((path) => lstat(path))
        .catch(() => undefined);
      if (written === undefined) {
        // Deleted under us.
        session.life = undefined;
        session.setRecord({ ...session.record, state: "killed", error: DELETED }, false);
        continue;
      }
      const rest = session.live ? PROOF_INTERVAL : SILENT_INTERVAL;
      const due = performance.now() - asked >= rest || isGone(session.life);
      if (due) asked = performance.now();
      if (!due && written.mtimeMs === seen) continue;
      const run = await look(session, due).catch(() => undefined);
      if (run === undefined || run.life?.kind === "unread" || stopped.signal.aborted) continue;
      const same = written.mtimeMs === seen && run.life?.kind === session.life?.kind;
      seen = written.mtimeMs;
      session.life = run.life;
      if (goesOn(run)) {
        heard = performance.now();
        onFound();
      }
      if (!same) session.setRecord(run.record, goesOn(run));
    }
    await readAll(reader, session);
  })();
  return { session, done, detach: () => stopped.abort() };
}

/** @param whole Whether to check its process too */
async function look({ directory, life }: RunSession, whole: boolean): Promise<StoredRun> {
  return whole ? readRun(directory) : { directory, record: await readRecord(directory), life };
}

function isGone(life: StoredRun["life"]): boolean {
  return life?.kind === "here" && life.process !== undefined && !isRunning(life.process.pid);
}

async function readAll(reader: MetricsReader, session: RunSession): Promise<void> {
  for (let rows = await reader.read(); rows.length > 0; rows = await reader.read()) session.addRows(rows);
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, milliseconds);
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
    signal.addEventListener("abort", done);
  });
}

/** A run without a channel can be stopped by a signal, which engines take as a polite stop; no more than that. */
function signals(session: RunSession, stopTimeout: number): RunControls {
  const refuse = (what: string): Promise<never> =>
    Promise.reject(
      new EngineError({
        code: "detached",
        message: `Run ${session.id} was started by another window, so it can be stopped from here but not ${what}.`,
      }),
    );
  return {
    ...controlsBy((name) => refuse(RUN_CONTROLS[name].refused)),
    async stop() {
      demandTrust();
      const engine = await processOf(session.directory, session.id);
      if (!(await engine.signal(session.record.on === undefined ? "SIGTERM" : STOP_THERE))) return;
      const until = Date.now() + stopTimeout;
      while (session.live && Date.now() < until)
        await new Promise((resolve) => {
          setTimeout(resolve, 100);
        });
      if (session.live) await engine.kill();
    },
  };
}
