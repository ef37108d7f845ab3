import * as v from "valibot";
import { cacheDirectory } from "../../native/cache.ts";
import type { SweepRecord } from "../../protocol/sweeps/sweep.ts";
import {
  AuthToken,
  RayTokens,
  TOKENS_VARIABLE,
  type RunOn,
  type RunPlace,
  type Target,
} from "../../protocol/target.ts";
import { machineOfRun, newPlace, rememberRun } from "../../remote/knownRuns.ts";
import { addressOf } from "../../remote/ray/jobs.ts";
import type { SweepChoices } from "../../supervisor/sweeps/plan.ts";
import type { SweepSource } from "../../supervisor/sweeps/sweep.ts";
import { parseTarget, UsageError, type CommonOptions } from "../command.ts";
import { remoteOf, sentOf, type RemoteOptions } from "../remote/options.ts";

export interface SweepOptions extends CommonOptions, RemoteOptions, Omit<SweepChoices, "seed"> {
  name?: string;
  resume?: string;
  forceUnlock?: true;
  outside?: true;
  progress: boolean;
}

/** Returns the file and export that a command line sweeps. @throws UsageError */
export function sourceOf(argument: string | undefined, options: SweepOptions): SweepSource {
  if (argument === undefined) throw new UsageError("missing required argument 'file' (or --resume <sweep>)");
  const { file, exportName = options.name ?? "default" } = parseTarget(argument);
  const { reductionFactor = 2, seed = 0 } = options;
  if (reductionFactor < 2) throw new UsageError("--reduction-factor must be at least 2.");
  if (seed < 0) throw new UsageError("--seed must be at least 0.");
  return { file, exportName };
}

/** The machine of a sweep's trials: that of the command line, else the one that the sweep began on; undefined for this one. */
export async function machineOf(
  options: SweepOptions,
  record: SweepRecord | undefined,
): Promise<RunOn | undefined> {
  const on =
    options.on !== undefined || record?.on === undefined
      ? await remoteOf(options)
      : { target: await machineOfRun(record.on, cacheDirectory()), ...sentOf(options) };
  return on && { ...on, ...takeTokens(on.target) };
}

/** Takes the tokens out of the environment: the processes that read the file here, and run its code, inherit it. */
function takeTokens(target: Target | undefined): Pick<RunOn, "tokens"> {
  const { [TOKENS_VARIABLE]: given, RAY_AUTH_TOKEN: own } = process.env;
  if (target?.kind !== "ray") return {};
  delete process.env[TOKENS_VARIABLE];
  delete process.env["RAY_AUTH_TOKEN"];
  return {
    tokens: {
      ...(v.is(AuthToken, own) ? { [addressOf(target)]: own } : {}),
      ...(given === undefined ? {} : v.parse(RayTokens, JSON.parse(given))),
    },
  };
}

/** Remembers the machine of a sweep, if it is not this one. @param before the record's machine so far */
export function placing(
  { target }: RunOn = {},
  before?: RunPlace,
): ((id: string) => Promise<RunPlace>) | undefined {
  if (target === undefined) return undefined;
  return async (id) => {
    const place = { ...newPlace(id, target), ...(before === undefined ? {} : { run: before.run }) };
    await rememberRun(place, target, cacheDirectory());
    return place;
  };
}
