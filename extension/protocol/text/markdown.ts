import { plainLine } from "./plain.ts";

/** Markdown whose parts from outside are escaped: the result of {@link md}. */
export class Markdown {
  readonly value: string;

  constructor(value: string) {
    this.value = value;
  }
}

/** Markdown with values between: text is escaped, Markdown stays. */
export function md(
  strings: TemplateStringsArray,
  ...values: readonly (Markdown | string | number)[]
): Markdown {
  return new Markdown(
    strings
      .map((text, i) => {
        const value = values[i] ?? "";
        return text + (value instanceof Markdown ? value.value : markdownText(String(value)));
      })
      .join(""),
  );
}

export function joinMarkdown(parts: readonly Markdown[], separator: string): Markdown {
  return new Markdown(parts.map(({ value }) => value).join(separator));
}

/** Characters that Markdown interprets: always, between words, as a link by itself, and at the start of a line. */
const MARKS = new RegExp(
  [
    "[\\\\`*[\\]<|~@]",
    String.raw`(?<![\p{L}\p{N}])_|_(?![\p{L}\p{N}])`,
    String.raw`&(?=[#\w])|:(?=/)|\.(?=\p{L})|(?<=[wW])\.`,
    // The sign before its digits: at each digit, a look back to the first would take quadratic time.
    String.raw`^[#>=+-]|[.)](?<=^\d+.)`,
  ].join("|"),
  "gu",
);

/** Text as Markdown that shows just it: no link, HTML, icon, list or emphasis. Its line breaks are kept. */
export function markdownText(text: string): string {
  return text
    .split(/[\r\n\u2028\u2029]/)
    .map((line) => line.trim())
    .filter((line) => line !== "")
    .map((line) =>
      plainLine(line.replaceAll("\t", " "))
        .replaceAll("$(", "$ (")
        .replaceAll(MARKS, String.raw`\$&`),
    )
    .join("\\\n");
}

/** A span of code. */
export function markdownCode(text: string): Markdown {
  const line = plainLine(text);
  const longest = Math.max(0, ...[...line.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = "`".repeat(longest + 1);
  // One space on each side is no part of the code, and keeps its backticks from the fence's.
  return new Markdown(
    longest > 0 || /^ .* $/.test(line) ? `${fence} ${line} ${fence}` : `${fence}${line || " "}${fence}`,
  );
}

/** A block of code, in lines. */
export function markdownBlock(text: string, language = "text"): Markdown {
  const lines = text.split(/\r\n|[\r\n\u2028\u2029]/).map((line) => plainLine(line.replaceAll("\t", "  ")));
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = "`".repeat(longest + 1);
  return new Markdown(`${fence}${language}\n${lines.join("\n")}\n${fence}`);
}
