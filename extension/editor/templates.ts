import { nameProblem } from "../protocol/names.ts";

/** Files of `media/examples` by purpose, in the order in which they are offered. */
export const TEMPLATES = {
  /** One of each kind of network; they are ready to train, on bundled data. */
  networks: ["iris", "digits", "temperature", "names", "transformer", "autoencoder", "gan"],
  /** For beginners. */
  firstSteps: ["tutorial", "simplenn"],
  /** They need files that aren't bundled, and name them. */
  ownFiles: ["bert", "fashion"],
} as const;
export type TemplateGroup = keyof typeof TEMPLATES;
export type TemplateName = (typeof TEMPLATES)[TemplateGroup][number];

/** The first line of the template's first comment, which describes it. */
export function describeTemplate(text: string): string {
  const comment = /^\s*(?:\/\/+\s*(?<line>[^\r\n]*)|\/\*+\s*(?:\*\s*)?(?<block>[^\r\n]*))/.exec(text);
  const line = comment?.groups?.["line"] ?? comment?.groups?.["block"] ?? "";
  return line.replace(/\*\/.*/, "").trim();
}

/** Returns what is wrong with the name of a new model file, which others copy to other systems; undefined if it is valid. */
export function checkFileName(name: string, taken: readonly string[]): FileNameProblem | undefined {
  const stem = modelFileName(name).replace(/\.nn\.ts$/, "");
  if (stem === "") return "empty";
  const problem = nameProblem(modelFileName(name));
  if (problem !== undefined) return problem === "device" ? "device" : "characters";
  return taken.includes(modelFileName(name)) ? "taken" : undefined;
}

export type FileNameProblem = "empty" | "characters" | "device" | "taken";

/** Adds the suffix `.nn.ts` if it is missing. */
export function modelFileName(name: string): string {
  return `${name.trim().replace(/(?:\.nn)?(?:\.ts)?$/, "")}.nn.ts`;
}

/** `name.nn.ts`, or `name2.nn.ts` … when that is taken. */
export function freeFileName(name: string, taken: readonly string[]): string {
  for (let n = 1; ; n++) {
    const candidate = modelFileName(n === 1 ? name : `${name}${n}`);
    if (nameProblem(candidate) !== "device" && !taken.includes(candidate)) return candidate;
  }
}
