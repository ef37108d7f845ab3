// Values of hyperparameters on a command line: --set name=value.
import { InvalidArgumentError, type Command } from "commander";
import * as v from "valibot";
import { Settings, type Setting } from "../protocol/sweeps/sweep.ts";

export interface SetOptions {
  set?: Settings;
}

export function setOption(command: Command): void {
  command.option(
    "--set <name=value>",
    "value of a hyperparameter of the experiment's sweep; may be repeated",
    (text: string, before: Settings | undefined) => ({ ...before, ...parseSetting(text) }),
  );
}

function parseSetting(text: string): Settings {
  const at = text.indexOf("=");
  const name = text.slice(0, at);
  const settings = v.safeParse(Settings, { [name]: valueOf(text.slice(at + 1)) });
  // Names that every object has are left out.
  if (at < 1 || !settings.success || !Object.hasOwn(settings.output, name))
    throw new InvalidArgumentError("Not of the form name=value.");
  return settings.output;
}

/** The engine takes a text for the value that it names: a choice may be of texts that look like numbers. */
function valueOf(text: string): Setting {
  if (text === "true" || text === "false") return text === "true";
  const number = Number(text);
  return text.trim() === "" || !Number.isFinite(number) ? text : number;
}

/** Options that set these values, for a shell. */
export function setOptions(settings: Settings): string {
  return Object.entries(settings)
    .map(([name, value]) => `--set ${quoted(`${name}=${String(value)}`)}`)
    .join(" ");
}

/** A word for a shell. */
export const quoted = (text: string): string =>
  /^[\w=.+/-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
