// Finds the processes that an engine has started, also those that left its process group. Each engine has a token in
// its environment, which its children inherit. Linux tells environments; elsewhere only the group is known.
import { randomBytes } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { isZombie, parseStat, type Stat } from "./identity.ts";
import { killEngine, killMember } from "./signals.ts";

/** Variable with the tokens of an engine and of the engines that it was started by. */
const VARIABLE = "LAYERWISE_FAMILY";

/** Scans after which processes that keep multiplying are left alone. */
const MOST_SCANS = 20;

/** A process. Ids are given again; the time at which it began tells it from others of its id. */
interface Member extends Stat {
  readonly pid: number;
}

/** A token of its own for an engine, and the environment that hands it on. */
export function newFamily(): { token: string; env: Record<string, string> } {
  const token = randomBytes(16).toString("hex");
  const inherited = process.env[VARIABLE];
  return { token, env: { [VARIABLE]: inherited === undefined ? token : `${inherited},${token}` } };
}

/** Ends the processes of a family, without `last` and this process. */
export async function endFamily(token: string, last = process.pid): Promise<void> {
  let left = true;
  // Each scan finds what was started during the one before.
  for (let scan = 0; left && scan < MOST_SCANS; scan++)
    left = await endThose(async ({ pid }) => pid !== last && (await hasToken(pid, token)));
}

/** Ends an engine with its family, from inside: at once, whatever it does. */
export async function endOwnFamily(engine = process.pid): Promise<void> {
  const token = process.env[VARIABLE]?.split(",").at(-1);
  if (token !== undefined) await endFamily(token, engine).catch(() => undefined);
  killEngine(engine);
}

/** Ends what a process that still runs has started, whatever environment that has. */
export async function endDescendants(ancestor: number): Promise<void> {
  await endThose(async (one, byId) => {
    if (!descends(one, ancestor, byId)) return false;
    return (await memberOf(one.pid))?.start === one.start;
  });
}

/** Signals each process right after its proof. False when there was none. */
async function endThose(
  proven: (one: Member, byId: ReadonlyMap<number, Member>) => Promise<boolean>,
): Promise<boolean> {
  if (process.platform !== "linux") return false;
  const all = await members();
  const byId = new Map(all.map((one) => [one.pid, one]));
  const ended = await Promise.all(
    all.map(async (one) => {
      if (one.pid === process.pid || !(await proven(one, byId))) return false;
      return killMember(one.pid);
    }),
  );
  return ended.includes(true);
}

function descends(one: Member, ancestor: number, byId: ReadonlyMap<number, Member>): boolean {
  for (let at: Member | undefined = one; at !== undefined && at.pid > 1; at = byId.get(at.parent))
    if (at.parent === ancestor) return true;
  return false;
}

async function members(): Promise<Member[]> {
  const names = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(names.map((name) => memberOf(Number(name))));
  return found.filter((one) => one !== undefined);
}

async function memberOf(pid: number): Promise<Member | undefined> {
  const stat = parseStat(await read(`/proc/${pid}/stat`));
  return stat === undefined || isZombie(stat) ? undefined : { pid, ...stat };
}

async function hasToken(pid: number, token: string): Promise<boolean> {
  const environment = await read(`/proc/${pid}/environ`);
  const value = environment.split("\0").find((one) => one.startsWith(`${VARIABLE}=`));
  return (
    value !== undefined &&
    value
      .slice(VARIABLE.length + 1)
      .split(",")
      .includes(token)
  );
}

/** Empty for processes of others, and those that have ended. */
const read = (file: string): Promise<string> => readFile(file, "latin1").catch(() => "");
