// The only writer to this process's streams. What it prints is data, except for its own colours and for what the user's
// running program prints.
import process from "node:process";
import { Format, MultiBar, SingleBar, type GenericFormatter, type Options } from "cli-progress";
import { jsonText, plainLine, plainText } from "../protocol/text/plain.ts";
import { paintFor, type Paint } from "./render.ts";

export type Stream = "stdout" | "stderr";

/** Prints text and a line's end to stdout. */
export function print(text: string): void {
  process.stdout.write(`${plainText(text)}\n`);
}

/** Prints text and a line's end to stderr. */
export function tell(text: string): void {
  process.stderr.write(`${plainText(text)}\n`);
}

/** Prints text to stdout that has its line's end. */
export function printWhole(text: string): void {
  process.stdout.write(plainText(text));
}

export function tellWhole(text: string): void {
  process.stderr.write(plainText(text));
}

/** Prints a value as JSON, on a line of its own. */
export function printJson(value: object): void {
  process.stdout.write(`${jsonText(value)}\n`);
}

/** Passes on what the user's program prints while it runs, colours included. */
export function passOn(stream: Stream, text: string): void {
  process[stream].write(text);
}

/** Prints text to stderr whose escape sequences are a {@link Paint}'s, which escapes those of the text itself. */
export function tellPainted(text: string): void {
  process.stderr.write(`${text}\n`);
}

export const isTerminal = (stream: Stream): boolean => process[stream].isTTY;

/** Calls `failed` when stdout can't be written to. */
export function onOutputError(failed: (error: NodeJS.ErrnoException) => void): void {
  process.stdout.on("error", failed);
}

/** Options of a progress bar on stderr. */
export type BarOptions = Omit<Options, "format" | "stream"> & {
  /** Its line, with `{names}` of cli-progress and of the fields that are passed with each value. */
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
export const stderrPaint = (): Paint => paintFor(process.stderr);
