import { clipped } from "../protocol/text/clip.ts";
import path from "node:path";
import { readRegularSync } from "../files/regular.ts";
import type { SourcePosition, UserError } from "../protocol/errors.ts";
import { plainLine, plainText } from "../protocol/text/plain.ts";

/** Colours text for a terminal, or leaves it plain; escapes control and invisible characters. */
export interface Colours {
  red(text: string): string;
  bold(text: string): string;
  dim(text: string): string;
  cyan(text: string): string;
}

const ESCAPE = "\u001b[";

/** Returns colours for a terminal, unless NO_COLOR is set; else plain text. */
export function coloursFor(stream: { isTTY?: boolean }, env: NodeJS.ProcessEnv = process.env): Colours {
  const on = stream.isTTY === true && (env["NO_COLOR"] ?? "") === "" && env["TERM"] !== "dumb";
  const wrap =
    (start: number, end: number) =>
    (text: string): string =>
      on ? `${ESCAPE}${start}m${plainText(text)}${ESCAPE}${end}m` : plainText(text);
  return { red: wrap(31, 39), bold: wrap(1, 22), dim: wrap(2, 22), cyan: wrap(36, 39) };
}

/** The path relative to `folder` if the file is inside it, else the absolute path. */
export function shortPath(file: string, folder = process.cwd()): string {
  const relative = path.relative(folder, file);
  return relative === "" || relative.startsWith("..") || path.isAbsolute(relative) ? file : relative;
}

const at = ({ file, line, column }: SourcePosition): string =>
  plainLine(`${shortPath(file)}:${line}:${column}`);

/** Characters of a table's cell and of a line of source: both come from files, and may be long. */
const WIDEST = 200;

/** Lines of source shown before and after the line of an error. */
const CONTEXT = 1;

/** Formats an error as compilers do: place, message, the line with carets below, the call stack, a hint. */
export function renderError(error: UserError, colours: Colours): string {
  const { position, stack = [], module, hint } = error;
  const [first, ...rest] = plainText(error.message).split("\n");
  const head = `${colours.red("error:")} ${colours.bold(first ?? "")}`;
  const lines = [position === undefined ? head : `${colours.bold(at(position))} ${head}`, ...rest];
  if (position !== undefined) lines.push(...codeFrame(position, colours));
  if (module !== undefined) lines.push(`  in module ${plainLine(module)}`);
  for (const frame of stack.slice(1, 6)) lines.push(colours.dim(`  called at ${at(frame)}`));
  if (hint !== undefined)
    lines.push(
      ...plainText(hint)
        .split("\n")
        .map((line) => `  ${colours.cyan("hint:")} ${line}`),
    );
  return lines.join("\n");
}

function codeFrame({ file, line, column, endColumn }: SourcePosition, colours: Colours): string[] {
  const source = readLines(file);
  const text = source?.[line - 1];
  if (source === undefined || text === undefined) return [];
  const first = Math.max(1, line - CONTEXT);
  const last = Math.min(source.length, line + CONTEXT);
  const width = String(last).length;
  // Of a long line, such as a bundler's, the part around the column.
  const from = text.length > WIDEST ? Math.max(0, column - 1 - WIDEST / 2) : 0;
  const cut = from > 0 ? "…" : "";
  const part = (line: string): string => cut + clipped(line.slice(from), WIDEST);
  const frame: string[] = [];
  for (let number = first; number <= last; number++) {
    const gutter = String(number).padStart(width);
    const code = plainText(`${gutter} | ${part(source[number - 1] ?? "")}`.trimEnd());
    if (number !== line) {
      frame.push(colours.dim(`  ${code}`));
      continue;
    }
    const end = Math.min(endColumn ?? column + 1, text.length + 1, from + WIDEST + 1);
    // Tabs are kept, so that the carets line up at any tab width.
    const indent = plainText(cut + text.slice(from, column - 1)).replaceAll(/[^\t]/g, " ");
    frame.push(`${colours.red(">")} ${code}`);
    const carets = colours.red("^".repeat(Math.max(1, end - column)));
    frame.push(`  ${" ".repeat(width)} | ${indent}${carets}`);
  }
  return frame;
}

/** Size limit in bytes of a source file whose lines are shown. */
const MOST_SOURCE = 16 * 2 ** 20;

function readLines(file: string): string[] | undefined {
  try {
    return readRegularSync(file, { limit: MOST_SOURCE, follow: true }).toString("utf8").split(/\r?\n/);
  } catch {
    return undefined;
  }
}

/** Formats rows as aligned columns, those of `alignRight` to the right. Cells are escaped to one line each, and clipped. */
export function table(texts: readonly (readonly string[])[], alignRight: readonly boolean[] = []): string[] {
  const rows = texts.map((row) => row.map((cell) => clipped(plainLine(cell), WIDEST)));
  const widths: number[] = [];
  for (const row of rows)
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, cell.length);
    });
  return rows.map((row) =>
    row
      .map((cell, i) => (alignRight[i] === true ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
      .join("  ")
      .trimEnd(),
  );
}

/** Formats seconds: `0.4 s`, `12 s`, `3 min 05 s`, `2 h 07 min`. */
export function duration(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const two = (value: number): string => String(value).padStart(2, "0");
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
}
