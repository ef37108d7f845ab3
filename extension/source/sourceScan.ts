import { endOfBrackets, maskSource } from "./sourceMask.ts";
import type { Span } from "./textSpans.ts";

/** Where a declaration begins, 0-based as in the editor. */
export interface SourceSpot {
  line: number;
  column: number;
}

export interface ScannedModel extends SourceSpot {
  name: string;
}

export interface ScannedExperiment extends SourceSpot {
  /** Name under which the file exports it, "default" included. */
  exportName: string;
  /** Models of this file that its definition constructs, in order of appearance. */
  models: string[];
  /** Present if its definition has a `sweep`. */
  swept?: true;
}

export interface SourceScan {
  models: ScannedModel[];
  experiments: ScannedExperiment[];
}

interface ClassDeclaration {
  name: string;
  /** Dotted name of the base class. */
  base: string;
  offset: number;
  abstract: boolean;
  hasForward: boolean;
}

const NAME = "[A-Za-z_$][\\w$]*";

/**
 * Finds models and experiments in the text of a `.nn.ts` file without running it: at once, even if it doesn't compile or the
 * workspace isn't trusted. It misses what only running reveals, such as a base class returned by a function.
 */
export function scanSource(source: string): SourceScan {
  const masked = maskSource(source);
  const imports = scanImports(source, masked);
  const spotOf = spotFinder(source);
  const models = scanClasses(masked, imports)
    .filter((declaration) => !declaration.abstract)
    .map(({ name, offset }) => ({ name, ...spotOf(offset) }));
  const names = models.map((model) => model.name);
  const experiments = scanExperiments(masked, imports).map(({ exportName, offset, definition }) => ({
    exportName,
    ...spotOf(offset),
    models: constructed(definition, names),
    ...(/[{,]\s*sweep\s*[:,}]/.test(definition) ? { swept: true as const } : {}),
  }));
  return { models, experiments };
}

/** The arguments of the call that makes an exported experiment, brackets included. */
export function definitionOf(source: string, exportName: string): Span | undefined {
  const masked = maskSource(source);
  const found = scanExperiments(masked, scanImports(source, masked)).find(
    (declaration) => declaration.exportName === exportName,
  );
  if (found === undefined) return undefined;
  return { start: found.open, end: found.open + found.definition.length };
}

interface Imports {
  /** Expressions that mean layerwise's `nn`, such as "nn" or "lw.nn". */
  nn: string[];
  /** Expressions that mean `experiment`. */
  experiment: string[];
  /** Names that mean `nn.Module` itself. */
  module: string[];
  /** Names imported from the user's other files: base classes that may be models. */
  local: Set<string>;
}

function scanImports(source: string, masked: string): Imports {
  const imports: Imports = { nn: ["nn"], experiment: ["experiment"], module: [], local: new Set() };
  for (const match of masked.matchAll(/\bimport\s+([^;"']*?)\s*from\s*(["'])/g)) {
    const clause = match[1] ?? "";
    const start = match.index + match[0].length;
    const specifier = source.slice(start, source.indexOf(match[2] ?? '"', start));
    const namespace = new RegExp(`\\*\\s*as\\s+(${NAME})`).exec(clause)?.[1];
    const named = [...clause.matchAll(new RegExp(`(?:\\btype\\s+)?(${NAME})(?:\\s+as\\s+(${NAME}))?`, "g"))]
      .filter((name) => name[1] !== "type" && name[1] !== "as")
      .map((name) => ({ name: name[1] ?? "", local: name[2] ?? name[1] ?? "" }));
    if (specifier.startsWith(".")) {
      for (const { local } of named) imports.local.add(local);
      if (namespace !== undefined) imports.local.add(namespace);
    } else if (specifier === "layerwise") {
      if (namespace !== undefined) {
        imports.nn.push(`${namespace}.nn`);
        imports.experiment.push(`${namespace}.experiment`);
        continue;
      }
      for (const { name, local } of named) {
        if (name === "nn" || name === "experiment") imports[name].push(local);
        else if (name === "Module") imports.module.push(local);
      }
    }
  }
  // `const { Module } = nn;` is how some PyTorch users shorten it.
  for (const match of masked.matchAll(/\bconst\s*\{([^}]*)\}\s*=\s*([\w$.]+)/g)) {
    if (imports.nn.includes(match[2] ?? ""))
      for (const name of (match[1] ?? "").split(",")) {
        const [original, local] = name.split(":").map((part) => part.trim());
        if (original === "Module") imports.module.push(local ?? original);
      }
  }
  return imports;
}

/** Classes that are modules: their base is in layerwise's `nn`, or is itself a module of the file. */
function scanClasses(masked: string, imports: Imports): ClassDeclaration[] {
  const all: ClassDeclaration[] = [];
  const pattern = new RegExp(
    `(?:\\bexport\\s+)?(?:\\bdefault\\s+)?(\\babstract\\s+)?\\bclass\\s+(${NAME})|` +
      `(?:\\bexport\\s+)?\\b(?:const|let|var)\\s+(${NAME})\\s*=\\s*class\\b(?:\\s+(?!extends\\b)${NAME})?`,
    "g",
  );
  for (const match of masked.matchAll(pattern)) {
    let at = match.index + match[0].length;
    at += /^\s*/.exec(masked.slice(at))?.[0].length ?? 0;
    if (masked[at] === "<") at = endOfBrackets(masked, at);
    const base = /^\s*extends\s+([\w$]+(?:\s*\.\s*[\w$]+)*)/.exec(masked.slice(at));
    if (base === null) continue;
    const open = masked.indexOf("{", at + base[0].length);
    const body = open < 0 ? "" : masked.slice(open, endOfBrackets(masked, open));
    all.push({
      name: match[2] ?? match[3] ?? "",
      base: (base[1] ?? "").replace(/\s+/g, ""),
      offset: match.index,
      abstract: match[1] !== undefined,
      hasForward: /\bforward\s*[(=<]/.test(body),
    });
  }
  const modules = new Set<string>();
  const isModule = ({ base, hasForward }: ClassDeclaration): boolean =>
    modules.has(base) ||
    imports.module.includes(base) ||
    imports.nn.some((nn) => base.startsWith(`${nn}.`)) ||
    (hasForward && imports.local.has(base.split(".")[0] ?? base));
  // A class may be declared before its base, so repeat until nothing is added.
  for (let size = -1; size !== modules.size;) {
    size = modules.size;
    for (const declaration of all) if (isModule(declaration)) modules.add(declaration.name);
  }
  return all.filter((declaration) => modules.has(declaration.name));
}

interface ExperimentDeclaration {
  exportName: string;
  offset: number;
  /** Where the definition begins. */
  open: number;
  definition: string;
}

function scanExperiments(masked: string, imports: Imports): ExperimentDeclaration[] {
  const callee = imports.experiment.map((name) => name.replace(/[$.]/g, "\\$&")).join("|");
  const pattern = new RegExp(
    `(?:(\\bexport)\\s+)?(?:\\b(default)\\b|\\b(?:const|let|var)\\s+(${NAME})\\s*(?::[^=;]*)?=)\\s*` +
      `(?:await\\s+)?(?:${callee})\\s*(?=[(<])`,
    "g",
  );
  const exported = scanExportLists(masked);
  const found: ExperimentDeclaration[] = [];
  for (const match of masked.matchAll(pattern)) {
    let open = match.index + match[0].length;
    if (masked[open] === "<") open = masked.indexOf("(", endOfBrackets(masked, open));
    if (open < 0) continue;
    const definition = masked.slice(open, endOfBrackets(masked, open));
    const names =
      match[1] === undefined ? (exported.get(match[3] ?? "") ?? []) : [match[2] ?? match[3] ?? ""];
    for (const exportName of names) found.push({ exportName, offset: match.index, open, definition });
  }
  return found;
}

/** `export { a, b as c }` and `export default a`: the names under which each local name is exported. */
function scanExportLists(masked: string): Map<string, string[]> {
  const exported = new Map<string, string[]>();
  const add = (local: string, name: string): void => {
    exported.set(local, [...(exported.get(local) ?? []), name]);
  };
  for (const list of masked.matchAll(/\bexport\s*\{([^}]*)\}(?!\s*from\b)/g))
    for (const entry of (list[1] ?? "").split(",")) {
      const [local, name] = entry.trim().split(/\s+as\s+/);
      if (local !== undefined && local !== "") add(local, name ?? local);
    }
  for (const match of masked.matchAll(new RegExp(`\\bexport\\s+default\\s+(${NAME})\\s*(?:;|$)`, "gm")))
    if (match[1] !== undefined) add(match[1], "default");
  return exported;
}

function constructed(definition: string, models: readonly string[]): string[] {
  const found = [...definition.matchAll(new RegExp(`\\bnew\\s+(${NAME})`, "g"))].map(
    (match) => match[1] ?? "",
  );
  return [...new Set(found)].filter((name) => models.includes(name));
}

function spotFinder(source: string): (offset: number) => SourceSpot {
  const starts = [0];
  for (let i = source.indexOf("\n"); i >= 0; i = source.indexOf("\n", i + 1)) starts.push(i + 1);
  return (offset) => {
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return { line: low, column: offset - (starts[low] ?? 0) };
  };
}
