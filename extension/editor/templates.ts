/** Files of `media/examples`, by what they are for, in the order in which they are offered. */
export const TEMPLATES = {
  /** One of each kind of network; they train at once, on data that comes along. */
  networks: ["iris", "digits", "temperature", "names", "transformer", "autoencoder", "gan"],
  /** Where one begins. */
  firstSteps: ["tutorial", "simplenn"],
  /** They want files that don't come along, and say which. */
  ownFiles: ["bert", "fashion"],
} as const;
export type TemplateGroup = keyof typeof TEMPLATES;
export type TemplateName = (typeof TEMPLATES)[TemplateGroup][number];

/** The first line of the first comment: what the template is, in its own words. */
export function describeTemplate(text: string): string {
  const comment = /^\s*(?:\/\/+\s*(?<line>[^\r\n]*)|\/\*+\s*(?:\*\s*)?(?<block>[^\r\n]*))/.exec(text);
  const line = comment?.groups?.["line"] ?? comment?.groups?.["block"] ?? "";
  return line.replace(/\*\/.*/, "").trim();
}

/** What is wrong with the name of a new model file; undefined when nothing is. */
export function checkFileName(
  name: string,
  taken: readonly string[],
): "empty" | "characters" | "taken" | undefined {
  const stem = modelFileName(name).replace(/\.nn\.ts$/, "");
  if (stem === "") return "empty";
  // Those no common file system has.
  if (/[\\/:*?"<>|]/.test(stem) || stem.startsWith(".")) return "characters";
  return taken.includes(modelFileName(name)) ? "taken" : undefined;
}

/** With the ending that makes it a model file. */
export function modelFileName(name: string): string {
  return `${name.trim().replace(/(?:\.nn)?(?:\.ts)?$/, "")}.nn.ts`;
}

/** `name.nn.ts`, or `name2.nn.ts` … when that is taken. */
export function freeFileName(name: string, taken: readonly string[]): string {
  for (let n = 1; ; n++) {
    const candidate = modelFileName(n === 1 ? name : `${name}${n}`);
    if (!taken.includes(candidate)) return candidate;
  }
}
