// The only module that writes to stdout and stderr. It escapes control characters, except in its own colours and in the
// output of the user's program.
import process from "node:process";
import { Format, MultiBar, SingleBar, type GenericFormatter, type Options } from "cli-progress";
import { jsonText, plainLine, plainText } from "../protocol/text/plain.ts";
import { coloursFor, type Colours } from "./render.ts";

export type Stream = "stdout" | "stderr";

/** Prints text and a newline to stdout. */
export function print(text: string): void {
  process.stdout.write(`${plainText(text)}\n`);
}

/** Prints text and a newline to stderr. */
export function printStderr(text: string): void {
  process.stderr.write(`${plainText(text)}\n`);
}

/** Prints text that ends with a newline to stdout. */
export function writeStdout(text: string): void {
  process.stdout.write(plainText(text));
}

export function writeStderr(text: string): void {
  process.stderr.write(plainText(text));
}

/** Prints a value as JSON, on a line of its own. */
export function printJson(value: object): void {
  process.stdout.write(`${jsonText(value)}\n`);
}

/** Forwards the output of the user's running program, colours included. */
export function forwardOutput(stream: Stream, text: string): void {
  process[stream].write(text);
}

/** Prints text to stderr that a {@link Colours} has coloured and escaped. */
export function printStderrColoured(text: string): void {
  process.stderr.write(`${text}\n`);
}

export const isTerminal = (stream: Stream): boolean => process[stream].isTTY;

/** Calls `failed` when a write to stdout fails. */
export function onOutputError(failed: (error: NodeJS.ErrnoException) => void): void {
  process.stdout.on("error", failed);
}

/** Options of a progress bar on stderr. */
export type BarOptions = Omit<Options, "format" | "stream"> & {
  /** The line's template: `{name}` stands for a value of cli-progress or a field passed with each update. */
  format: string;
};

const barOptions = ({ format, ...options }: BarOptions): Options => ({
  ...options,
  stream: process.stderr,
  format: ((all, params, fields: Record<string, unknown>) => {
    const plain = Object.entries(fields).map(([name, field]) => [
      name,
      typeof field === "string" ? plainLine(field) : field,
    ]);
    return Format.Formatter({ ...all, format }, params, Object.fromEntries(plain));
  }) satisfies GenericFormatter,
});

export const newBar = (options: BarOptions): SingleBar => new SingleBar(barOptions(options));
export const newBars = (options: BarOptions): MultiBar => new MultiBar(barOptions(options));

/** Colours for stderr. */
export const stderrColours = (): Colours => coloursFor(process.stderr);
