import * as v from "valibot";

/** A pattern for lower and upper case, where a flag can't say so. */
const anyCase = (pattern: string): string =>
  pattern.replaceAll(/[a-z]/g, (letter) => `[${letter}${letter.toUpperCase()}]`);

/** How a name begins that Windows keeps for a device: alone or before a dot, also with spaces between. */
const DEVICE =
  anyCase(String.raw`(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9${"¹²³"}])`) + String.raw` *(?:\.|$)`;
/** Characters that some system keeps, of paths, streams and patterns, and control characters. */
const KEPT = String.raw`/\\:*?"<>|\x00-\x1f\x7f`;
/** Windows leaves out dots and spaces at the end, so such a name stands for another one. */
const END = String.raw`(?<![. ])`;

/**
 * A name of one file or folder, the same on every system; a pattern for the end of a text. A record may come from a stranger, so its
 * names are never paths elsewhere.
 */
export const NAME = String.raw`(?!\.)(?!${DEVICE})[^${KEPT}]{1,255}${END}`;

/** The id of a run or a sweep: its folder's name. */
export const FolderName = v.pipe(
  v.string(),
  v.regex(new RegExp(`^${NAME}$`), "expected the name of a folder"),
);

/** Why a name is none on every system. */
export type NameProblem = "empty" | "characters" | "end" | "device" | "dot" | "long";

const TESTS: readonly (readonly [NameProblem, RegExp])[] = [
  ["empty", /^$/],
  ["characters", new RegExp(`[${KEPT}]`)],
  ["end", new RegExp(`^(?!.*${END}$)`)],
  ["device", new RegExp(`^${DEVICE}`)],
  // Last: where these may be, the name must have no other problem.
  ["dot", /^\./],
  ["long", /^.{256}/],
];

/** Says what {@link NAME} refuses a name for; undefined for a name that it takes. */
export function nameProblem(name: string): NameProblem | undefined {
  return TESTS.find(([, pattern]) => pattern.test(name))?.[0];
}

/** A {@link nameProblem}, as the end of a sentence about the file or folder. */
export const NAME_PROBLEMS: Readonly<Record<NameProblem, string>> = {
  empty: "it has no name",
  dot: "its name begins with a dot",
  long: "its name has more than 255 characters",
  characters: "its name has characters that not every system allows",
  end: "its name ends with a dot or a space, which Windows leaves out",
  device: "Windows keeps its name for a device",
};
