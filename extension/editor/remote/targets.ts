// The machines that a run can go to: the user's own settings, and the names that ssh knows.
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import * as v from "valibot";
import * as vscode from "vscode";
import { EngineError } from "../../protocol/errors.ts";
import type { Target } from "../../protocol/target.ts";
import { hostsOf } from "../../remote/sshConfig.ts";
import { findTarget, TARGETS_VARIABLE, TargetSettings } from "../../remote/targets.ts";
import { setting } from "../settings.ts";
import { ask, pick, type PickItem } from "../show.ts";
import type { RayTokens } from "./tokens.ts";

const address = (): string => vscode.l10n.t("ssh://[user@]host[:port] or ray://host[:port]");

/** Most bytes of a configuration of ssh. */
const LIMIT = 2 ** 20;

/** The machines of the setting. Only the user's own settings count: a workspace can't name a machine. */
function settings(): TargetSettings {
  const checked = v.safeParse(TargetSettings, setting("targets"));
  if (checked.success) return checked.output;
  throw new EngineError({
    code: "target",
    message: vscode.l10n.t("The setting layerwise.targets is invalid: {0}", checked.issues[0].message),
  });
}

/** The names of machines in the user's configuration of ssh; none where there is none. */
async function sshHosts(): Promise<string[]> {
  try {
    const text = await readFile(join(homedir(), ".ssh", "config"), "utf8");
    return text.length > LIMIT ? [] : hostsOf(text);
  } catch {
    return [];
  }
}

/** A machine that the user has chosen, and may use. */
export interface Machine {
  target: Target;
  /** Command-line arguments that choose the same machine. */
  args: string[];
  env: Record<string, string>;
}

/** Asks which machine to run on, and for its token if it needs one. Undefined if the user cancelled. */
export async function chooseMachine(tokens: RayTokens): Promise<Machine | undefined> {
  const known = settings();
  const word = await chooseWord(known);
  if (word === undefined) return undefined;
  const target = findTarget(word, known);
  if (!(await tokens.authorize(target))) return undefined;
  const named = Object.hasOwn(known, word) ? { [word]: known[word] } : {};
  return {
    target,
    // In one word, since a name may begin with "-".
    args: [`--on=${word}`],
    env: {
      [TARGETS_VARIABLE]: JSON.stringify(named),
      ...(target.kind === "ray" ? await tokens.environment() : {}),
    },
  };
}

async function chooseWord(known: TargetSettings): Promise<string | undefined> {
  const hosts = (await sshHosts()).filter((name) => !Object.hasOwn(known, name));
  const named = (name: string, description: string): PickItem & { name?: string } => ({
    icon: "remote",
    label: name,
    description,
    name,
  });
  const items: (PickItem & { name?: string })[] = [
    ...Object.keys(known).map((name) => named(name, vscode.l10n.t("target"))),
    ...hosts.map((name) => named(name, "~/.ssh/config")),
    { icon: "add", label: vscode.l10n.t("Another machine…"), description: address() },
  ];
  const chosen = await pick(items, { title: vscode.l10n.t("Run on which machine?") });
  if (chosen === undefined || chosen.name !== undefined) return chosen?.name;
  const text = await ask({
    title: vscode.l10n.t("Run on which machine?"),
    prompt: vscode.l10n.t(
      "Your own ssh connects to a machine; it has to work without a password. ray:// is the dashboard of a Ray cluster.",
    ),
    placeHolder: address(),
    validateInput: (value) => problemOf(value, known),
  });
  return text?.trim();
}

function problemOf(text: string, known: TargetSettings): string | undefined {
  if (text.trim() === "") return undefined;
  try {
    findTarget(text.trim(), known);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
