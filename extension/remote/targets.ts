// Finds machines by a URL, a name in the user's settings, or a name that ssh knows.
import { homedir } from "node:os";
import path from "node:path";
import * as v from "valibot";
import { isMissing } from "../files/fileError.ts";
import { checkedJson } from "../files/json.ts";
import { readRegular } from "../files/regular.ts";
import { EngineError } from "../protocol/errors.ts";
import { Target } from "../protocol/target.ts";
import { withoutSecrets } from "../protocol/text/secrets.ts";

const LIMIT = 2 ** 20;

/** The variable with the machines of a command that the editor starts: they replace those of the file. */
export const TARGETS_VARIABLE = "LAYERWISE_TARGETS";

/** A machine in the settings: a URL or a name of ssh, alone or with its Node and folder. */
const Setting = v.union([
  v.string(),
  v.object({
    host: v.string(),
    node: Target.entries.node,
    folder: Target.entries.folder,
    cpus: Target.entries.cpus,
    gpus: Target.entries.gpus,
  }),
]);

/** Machines by name, as settings have them: `{ "gpu": "ssh://me@gpu.example.org", "big": { "host": "big", "node": "/opt/node" } }`. */
export const TargetSettings = v.record(v.pipe(v.string(), v.minLength(1), v.maxLength(100)), Setting);
export type TargetSettings = v.InferOutput<typeof TargetSettings>;

/** The file of the user's machines for the command line. Projects have none: they may come from strangers. */
export function targetsFile({ platform, env }: Pick<NodeJS.Process, "platform" | "env"> = process): string {
  if (platform === "win32")
    return path.join(
      env["APPDATA"] ?? path.join(homedir(), "AppData", "Roaming"),
      "layerwise",
      "targets.json",
    );
  const xdg = env["XDG_CONFIG_HOME"];
  const folder =
    xdg !== undefined && path.isAbsolute(xdg) ? xdg : path.join(env["HOME"] ?? homedir(), ".config");
  return path.join(folder, "layerwise", "targets.json");
}

/** The machines of the user's file, or of the editor. @throws EngineError "target" if they are invalid */
export async function readTargets(file = targetsFile()): Promise<TargetSettings> {
  const given = process.env[TARGETS_VARIABLE];
  const place = given === undefined ? file : TARGETS_VARIABLE;
  try {
    const bytes =
      given === undefined ? await readRegular(file, { limit: LIMIT, follow: true }) : Buffer.from(given);
    return checkedJson(place, bytes, TargetSettings);
  } catch (error) {
    if (isMissing(error)) return {};
    throw new EngineError({ code: "target", message: `${place} can't be read: ${(error as Error).message}` });
  }
}

/**
 * Finds a machine by its name or address.
 * @throws EngineError "target" for an invalid one
 */
export function findTarget(text: string, settings: TargetSettings = {}): Target {
  const known = Object.hasOwn(settings, text) ? settings[text] : undefined;
  if (known === undefined) return parseTarget(text, text.replace(/^(?:ssh|ray):\/\//, ""));
  const { host, ...rest } = typeof known === "string" ? { host: known } : known;
  return check(text, { ...parseTarget(host, text), ...rest, name: text });
}

/** `ssh://[user@]host[:port]`, `[user@]host`, `ray://host[:port]`. */
function parseTarget(text: string, name: string): Target {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text)?.[1]?.toLowerCase();
  const ray = scheme === "ray";
  if (scheme !== undefined && scheme !== "ssh" && !ray)
    throw new EngineError({
      code: "target",
      message: `${JSON.stringify(withoutSecrets(text))}: runs go to ssh:// machines and ray:// clusters.`,
    });
  const rest = scheme === undefined ? text : text.slice(scheme.length + 3).replace(/\/$/, "");
  const match = /^(?:([^@]*)@)?(?:\[([^\]]*)\]|([^:@[\]]*))(?::(\d{1,5}))?$/.exec(rest);
  const [, user, address, host, port] = match ?? [];
  if (ray && user !== undefined)
    throw new EngineError({
      code: "target",
      message: `${JSON.stringify(withoutSecrets(text))} names no cluster: Ray knows no users, only a token (RAY_AUTH_TOKEN).`,
    });
  return check(text, {
    name,
    ...(ray ? { kind: "ray" } : {}),
    host: address ?? host ?? "",
    ...(user === undefined ? {} : { user }),
    ...(port === undefined ? {} : { port: Number(port) }),
  });
}

function check(text: string, target: Target): Target {
  const checked = v.safeParse(Target, target);
  if (checked.success) return checked.output;
  const problem = checked.issues[0].message;
  throw new EngineError({
    code: "target",
    message: `${JSON.stringify(withoutSecrets(text))} names no machine: ${problem}.`,
    hint: "A machine is ssh://[user@]host[:port], a name of ~/.ssh/config, ray://host[:port], or one of your targets.",
  });
}
