import { lstat } from "node:fs/promises";
import { runPath } from "../files/runFiles.ts";
import { RUN_FILE } from "../protocol/run.ts";
import { EngineError } from "./errors.ts";
import { MetricsReader } from "./metrics.ts";
import { killTree, signal } from "./process.ts";
import { buryDeadRuns, isDead, isLive, readRecord } from "./runDirectory.ts";
import { RunSession, type RunControl } from "./session.ts";

export interface AttachOptions {
  /** Milliseconds between two looks at the run directory. Default 500. */
  interval?: number;
  /** Milliseconds a run has to end after `stop` before it is killed. Default 10,000. */
  stopTimeout?: number;
}

/** Follows a run by its directory, whoever started it. */
export interface Attachment {
  readonly session: RunSession;
  /** Settles when the run is over or the attachment was given up. */
  readonly done: Promise<void>;
  /** Stops looking; the run goes on. */
  detach(): void;
}

/** Opens a run from disk; one that goes on is followed until it ends or the attachment is given up. */
export async function openRun(directory: string, options: AttachOptions = {}): Promise<Attachment> {
  let record = await readRecord(directory);
  if (await isDead(record)) {
    await buryDeadRuns([{ directory, record }]);
    record = await readRecord(directory);
  }
  const session = new RunSession(directory, record, isLive(record));
  const reader = new MetricsReader(directory);
  await readAll(reader, session);
  if (!session.live) return { session, done: Promise.resolve(), detach: () => undefined };
  session.control = signals(session, options.stopTimeout ?? 10_000);
  return follow(session, reader, options.interval ?? 500);
}

function follow(session: RunSession, reader: MetricsReader, interval: number): Attachment {
  const stopped = new AbortController();
  const { directory } = session;
  // Polled, because not every file system tells of changes, and a run of an hour is not missed by half a second.
  const done = (async () => {
    let seen = 0;
    while (!stopped.signal.aborted && session.live) {
      await pause(interval, stopped.signal);
      await readAll(reader, session);
      const written = await runPath(directory, RUN_FILE)
        .then((path) => lstat(path))
        .catch(() => undefined);
      if (written !== undefined && written.mtimeMs !== seen) {
        seen = written.mtimeMs;
        const record = await readRecord(directory).catch(() => session.record);
        session.setRecord(record, isLive(record));
      }
      if (written === undefined) {
        // Deleted under us.
        session.setRecord(session.record, false);
      } else if (session.live && (await isDead(session.record))) {
        await buryDeadRuns([{ directory, record: session.record }]);
        seen = 0;
      }
    }
    await readAll(reader, session);
  })();
  return { session, done, detach: () => stopped.abort() };
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
function signals(session: RunSession, stopTimeout: number): RunControl {
  const refuse = (what: string): Promise<never> =>
    Promise.reject(
      new EngineError({
        code: "detached",
        message: `Run ${session.id} was started by another window, so it can be stopped from here but not ${what}.`,
      }),
    );
  return {
    pause: () => refuse("paused"),
    resume: () => refuse("resumed"),
    step: () => refuse("stepped"),
    addEpochs: () => refuse("made longer"),
    setLearningRate: () => refuse("given another rate"),
    checkpoint: () => refuse("told to save"),
    async stop() {
      const { pid } = session.record;
      if (pid === undefined || !signal(pid, "SIGTERM")) return;
      const until = Date.now() + stopTimeout;
      while (session.live && Date.now() < until)
        await new Promise((resolve) => {
          setTimeout(resolve, 100);
        });
      if (session.live) await killTree(pid);
    },
  };
}
