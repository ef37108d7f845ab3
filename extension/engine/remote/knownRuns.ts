// Keeps the machine of each run in the user's own folder: a record in a workspace may come from a stranger, and must not
// choose the machine that ssh connects to.
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { isMissing } from "../../files/fileError.ts";
import { checkedJson } from "../../files/json.ts";
import { readRegular } from "../../files/regular.ts";
import { writeAtomicAsync } from "../../files/writeAtomic.ts";
import { cacheDirectory } from "../../native/cache.ts";
import { EngineError } from "../../protocol/errors.ts";
import { Target, type RunPlace } from "../../protocol/target.ts";

const LIMIT = 2 ** 16;

const folder = (): string => path.join(cacheDirectory(), "remote-runs");
const fileOf = (run: string): string => path.join(folder(), `${run}.json`);

/** Remembers the machine of a run. */
export async function rememberRun(run: string, target: Target): Promise<void> {
  await mkdir(folder(), { recursive: true });
  await writeAtomicAsync(fileOf(run), [Buffer.from(`${JSON.stringify(target)}\n`)]);
}

/** The machine of a run. @throws EngineError "remote-unknown" for a run that this user has not started */
export async function machineOfRun({ run, name }: RunPlace): Promise<Target> {
  const file = fileOf(run);
  try {
    return checkedJson(file, await readRegular(file, { limit: LIMIT }), Target);
  } catch (error) {
    if (!isMissing(error)) throw error;
    throw new EngineError({
      code: "remote-unknown",
      message: `The run says that it is on ${name}, but it was not started from here.`,
      hint: "Name its machine: layerwise attach RUN --on ssh://HOST",
    });
  }
}
