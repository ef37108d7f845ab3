import { spawn, type ChildProcess } from "node:child_process";
import { openSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { isLive, type RunRecord } from "../../protocol/run.ts";
import { readRun } from "../runs/runDirectory.ts";
import { JOB_FILE, KEEPER_LOG, OUTCOME_FILE, type Job } from "./keeper.ts";
import { isThere } from "./store.ts";

/** Time limit in milliseconds of a run's first record. */
const BEGIN_LIMIT = 30_000;

/**
 * Starts a run's keeper, which outlives this process, and waits until the run has started or failed to.
 * @param folder of the run, which is the current one @param before the record of an earlier start
 */
export async function launch(job: Job, folder: string, before: RunRecord | undefined): Promise<ChildProcess> {
  await rm(OUTCOME_FILE, { force: true });
  await writeFile(JOB_FILE, JSON.stringify(job), { mode: 0o600 });
  const log = openSync(KEEPER_LOG, "a", 0o600);
  const child = spawn(process.execPath, [join(job.dist, "remoteAgent.cjs"), "keep"], {
    cwd: folder,
    detached: true,
    stdio: ["ignore", log, log],
  });
  await new Promise((resolve, reject) => {
    child.once("spawn", resolve);
    child.once("error", reject);
  });
  child.unref();
  await begun(job.request.directory, before, () => isThere(OUTCOME_FILE));
  return child;
}

/**
 * Waits until a run has written a record, or has failed to start. Before, the record of an earlier start could be taken for its.
 * @param failed Whether its process has ended
 */
export async function begun(
  directory: string,
  before: RunRecord | undefined,
  failed: () => Promise<boolean>,
): Promise<void> {
  const until = performance.now() + BEGIN_LIMIT;
  while (performance.now() < until && !(await failed())) {
    const now = await readRun(directory).catch(() => undefined);
    if (now !== undefined && (isLive(now.record) || now.record.endedAt !== before?.endedAt)) return;
    await delay(50);
  }
}
