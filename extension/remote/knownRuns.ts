// Keeps the machine of each run and sweep in the user's cache folder: a record in a workspace may come from a stranger, and must
// not choose the machine that ssh connects to.
import { randomBytes } from "node:crypto";
import path from "node:path";
import { makeFolder } from "../files/folders.ts";
import { isMissing } from "../files/fileError.ts";
import { checkedJson } from "../files/json.ts";
import { readRegular } from "../files/regular.ts";
import { writeAtomicAsync } from "../files/writeAtomic.ts";
import { EngineError } from "../protocol/errors.ts";
import { Target, type RunPlace } from "../protocol/target.ts";

const LIMIT = 2 ** 16;

const fileOf = (cache: string, run: string): string => path.join(cache, "remote-runs", `${run}.json`);

/** The place of a new run or sweep on a machine. Its name there gets random digits: several folders and users may have the same. */
export function newPlace(id: string, { name, kind }: Target): RunPlace {
  const word = id
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .slice(0, 150)
    .replace(/^-+/, "");
  const run = `${word || "run"}-${randomBytes(6).toString("hex")}`;
  return { name, ...(kind === undefined ? {} : { kind }), run };
}

/** Remembers the machine of a run or a sweep. @param cache the user's cache folder */
export async function rememberRun({ run }: RunPlace, target: Target, cache: string): Promise<void> {
  const file = fileOf(cache, run);
  await makeFolder(path.dirname(file));
  await writeAtomicAsync(file, [Buffer.from(`${JSON.stringify(target)}\n`)]);
}

/**
 * The machine of a run or a sweep.
 * @param cache the user's cache folder
 * @throws EngineError "remote-unknown" if this user has not started it
 */
export async function machineOfRun({ run, name }: RunPlace, cache: string): Promise<Target> {
  const file = fileOf(cache, run);
  try {
    return checkedJson(file, await readRegular(file, { limit: LIMIT }), Target);
  } catch (error) {
    if (!isMissing(error)) throw error;
    throw new EngineError({
      code: "remote-unknown",
      message: `The record says that it is on ${name}, but it was not started from here.`,
      hint: "Name its machine: --on ssh://HOST",
    });
  }
}
