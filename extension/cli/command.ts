import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { InvalidArgumentError, Option, type Command } from "commander";
import { Device } from "../protocol/device.ts";
import type { UserError } from "../protocol/errors.ts";
import { toUserError } from "../supervisor/errors.ts";
import type { EngineOptions } from "../supervisor/engines/process.ts";
import { CliError, EXIT } from "./exit.ts";
import { printJson, stderrColours, printStderrColoured } from "./output.ts";
import { renderError } from "./render.ts";

/** A wrong command line. */
export class UsageError extends CliError {
  constructor(message: string) {
    super(message, EXIT.usage);
  }
}

/** Errors in the user's file or a run, to be printed as they are: exit code 1. */
export class CommandFailure extends Error {
  readonly errors: readonly UserError[];

  constructor(errors: readonly UserError[]) {
    super(errors[0]?.message ?? "failed");
    this.errors = errors;
  }
}

/** The parsed form of `FILE` or `FILE#export`. */
export interface Target {
  /** Absolute path; the file exists. */
  file: string;
  /** Undefined when the command line names none. */
  exportName: string | undefined;
}

/** @throws {@link UsageError} when there is no such file */
export function parseTarget(argument: string): Target {
  const hash = argument.lastIndexOf("#");
  // A file may have a # in its name.
  const whole = hash < 0 || isFile(argument);
  const file = whole ? argument : argument.slice(0, hash);
  const exportName = whole ? undefined : argument.slice(hash + 1);
  if (!isFile(file)) throw new UsageError(noFile(file));
  if (exportName === "") throw new UsageError(`${argument}: the name of the export is missing after "#".`);
  return { file: path.resolve(file), exportName };
}

/** @throws {@link UsageError} when there is no such file */
export function existingFile(file: string): string {
  if (!isFile(file)) throw new UsageError(noFile(file));
  return path.resolve(file);
}

const noFile = (file: string): string =>
  fs.existsSync(file) ? `${file} is not a file.` : `There is no file ${file}.`;

/** @throws UsageError for a folder that isn't there */
export function demandFolder(folder: string): void {
  if (statOf(folder)?.isDirectory() !== true)
    throw new UsageError(
      fs.existsSync(folder) ? `${folder} is not a folder.` : `There is no folder ${folder}.`,
    );
}

const isFile = (file: string): boolean => statOf(file)?.isFile() === true;

/** Undefined also for a link that leads in a circle, and for a name that is too long. */
function statOf(file: string): fs.Stats | undefined {
  try {
    return fs.statSync(file, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

/** Options shared by several commands. */
export interface CommonOptions {
  device: Device;
  seed?: number;
  json?: boolean;
}

export const targetDescription =
  "a .nn.ts file, and after # the name of its export (default: the default export)";

/** Adds those of `--device`, `--seed` and `--json` that `names` lists. */
export function commonOptions(command: Command, names: readonly (keyof CommonOptions)[]): Command {
  if (names.includes("seed"))
    command.option("--seed <number>", "seed of all random numbers (default: the experiment's)", integer);
  if (names.includes("device"))
    command.addOption(
      new Option("--device <name>", "backend; auto takes the best that is installed")
        .choices(Device.options)
        .env("LAYERWISE_DEVICE")
        .default("auto"),
    );
  if (names.includes("json")) command.option("--json", "print JSON, one object a line");
  return command;
}

/** Parses a whole number, for an option. */
export function integer(text: string): number {
  const value = Number(text);
  if (!/^-?\d+$/.test(text) || !Number.isSafeInteger(value))
    throw new InvalidArgumentError("Not a whole number.");
  return value;
}

/** Parses a whole number of at least 1, for an option. */
export function positive(text: string): number {
  const value = integer(text);
  if (value < 1) throw new InvalidArgumentError("Must be at least 1.");
  return value;
}

/** Parses a comma-separated list of names from `known`, for an option. */
export function list<T extends string>(known: readonly T[]): (text: string) => T[] {
  return (text) =>
    text.split(",").map((part) => {
      const name = known.find((one) => one === part.trim());
      if (name === undefined)
        throw new InvalidArgumentError(`"${part.trim()}" is not one of ${known.join(", ")}.`);
      return name;
    });
}

/** Prints examples below a command's options in its help. */
export function examples(command: Command, text: string): Command {
  return command.addHelpText("after", `\n${text.trim()}`);
}

/**
 * Turns a function that returns the exit code into a command's action. Prints errors of the user's file, of a run or of the
 * command line, as text or as JSON.
 */
export function action<Args extends unknown[]>(
  body: (...args: Args) => Promise<number>,
): (...args: Args) => Promise<void> {
  return async (...args) => {
    let code: number;
    try {
      code = await body(...args);
    } catch (error) {
      code = error instanceof CliError ? error.exitCode : EXIT.failure;
      if (!(error instanceof CliError && error.message === ""))
        printErrors(errorsOf(error), jsonWanted(args));
    }
    // Its message was printed by the function.
    if (code !== 0) throw new CliError("", code);
  };
}

function errorsOf(error: unknown): readonly UserError[] {
  if (error instanceof CommandFailure) return error.errors;
  if (error instanceof UsageError) return [{ code: "usage", message: error.message }];
  return [toUserError(error)];
}

function jsonWanted(args: readonly unknown[]): boolean {
  return args.some((one) => typeof one === "object" && one !== null && Reflect.get(one, "json") === true);
}

/** Prints errors for people to stderr, and as JSON to stdout, where programs read everything else. */
export function printErrors(errors: readonly UserError[], json: boolean): void {
  const colours = stderrColours();
  for (const error of errors) {
    if (json) printJson({ event: "error", error });
    else printStderrColoured(renderError(error, colours));
  }
}

/** Engines lie beside this program in dist/. */
export function engineOptions(): EngineOptions {
  return { dist: path.dirname(fileURLToPath(import.meta.url)) };
}
