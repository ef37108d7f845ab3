// Makes the settings of a trial the defaults of its experiment, in the text of the file.
import { codeString } from "../../protocol/text/code.ts";
import type { Setting, Settings } from "../../protocol/sweeps/sweep.ts";
import { endOfBrackets, maskSource } from "../../source/sourceMask.ts";
import { definitionOf } from "../../source/sourceScan.ts";
import type { Span } from "../../source/textSpans.ts";

/** A replacement of a span of the text. */
export interface SettingEdit extends Span {
  readonly code: string;
}

/** Why the text can't be edited: a parameter that its sweep doesn't have there, or none for no sweep. */
export interface NotFound {
  readonly missing: string | undefined;
}

/** The edits after which an experiment's sweep has these defaults: `.default(…)` at the end of each domain. */
export function defaultEdits(
  source: string,
  exportName: string,
  settings: Settings,
): SettingEdit[] | NotFound {
  const masked = maskSource(source);
  const definition = definitionOf(source, exportName);
  const options = definition === undefined ? undefined : objectIn(masked, definition);
  const sweep = options === undefined ? undefined : propertiesOf(source, masked, options).get("sweep");
  const object = sweep === undefined ? undefined : objectIn(masked, sweep);
  if (object === undefined) return { missing: undefined };
  const domains = propertiesOf(source, masked, object);
  const edits: SettingEdit[] = [];
  for (const [name, value] of Object.entries(settings)) {
    const domain = domains.get(name);
    if (domain === undefined) return { missing: name };
    edits.push(defaultEdit(source, masked, domain, value));
  }
  return edits;
}

function defaultEdit(
  source: string,
  masked: string,
  { start, end, shorthand }: Property,
  value: Setting,
): SettingEdit {
  const code = typeof value === "string" ? codeString(value) : String(value);
  if (shorthand) return { start: end, end, code: `: ${source.slice(start, end)}.default(${code})` };
  const calls = [...masked.slice(start, end).matchAll(/\.\s*default\s*\(/g)];
  const last = calls.at(-1);
  if (last !== undefined) {
    const open = start + last.index + last[0].length - 1;
    if (endOfBrackets(masked, open) === end) return { start: open + 1, end: end - 1, code };
  }
  return { start: end, end, code: `.default(${code})` };
}

/** The object literal that a span begins with, or has as its call's first argument. */
function objectIn(masked: string, { start, end }: Span): Span | undefined {
  const open = /^[\s(]*\{/.exec(masked.slice(start, end))?.[0];
  if (open === undefined) return undefined;
  const at = start + open.length - 1;
  return { start: at, end: endOfBrackets(masked, at) };
}

/** The value of a property, trimmed; of `{ a }`, the name. */
interface Property extends Span {
  readonly shorthand: boolean;
}

function propertiesOf(source: string, masked: string, { start, end }: Span): Map<string, Property> {
  const found = new Map<string, Property>();
  let from = start + 1;
  const add = (to: number): void => {
    const part = masked.slice(from, to);
    const key = /^(\s*)(?:([\p{L}\p{N}_$]+)|(["'])(\s*)\3)\s*(:?)/u.exec(part);
    if (key !== null) {
      const [whole, space = "", plain, quote, inside = "", colon] = key;
      // The text between quotes is blank in masked source.
      const quoted = from + space.length + 1;
      const named = quote === undefined ? plain : source.slice(quoted, quoted + inside.length);
      const shorthand = colon === "";
      const begin = from + (shorthand ? space.length : whole.length);
      const value = masked.slice(begin, to);
      const first = begin + (value.length - value.trimStart().length);
      const last = begin + value.trimEnd().length;
      if (named !== undefined && last > first) found.set(named, { start: first, end: last, shorthand });
    }
    from = to + 1;
  };
  for (let i = from; i < end - 1; i++) {
    const char = masked[i]!;
    if ("([{".includes(char)) i = endOfBrackets(masked, i) - 1;
    else if (char === ",") add(i);
  }
  add(end - 1);
  return found;
}
