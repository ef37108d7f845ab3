import { bracketEnds, maskSource, type EndOfBrackets } from "./sourceMask.ts";
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

/** Most characters of a text: longer ones are not written by hand. */
export const LONGEST_SOURCE = 500_000;
/** Models and experiments that are found at most, the first of more. */
const MOST = 500;

/**
 * Finds models and experiments in the text of a `.nn.ts` file without running it: at once, even if it doesn't compile or the
 * workspace isn't trusted. It misses what only running reveals, such as a base class returned by a function. The text may be
 * a stranger's, so it takes time in proportion to its length.
 */
export function scanSource(source: string): SourceScan {
  if (source.length > LONGEST_SOURCE) return { models: [], experiments: [] };
  const masked = maskSource(source);
  const endOf = bracketEnds(masked);
  const imports = scanImports(source, masked);
  const spotOf = spotFinder(source);
  const models = scanClasses(masked, imports, endOf)
    .filter((declaration) => !declaration.abstract)
    .slice(0, MOST)
    .map(({ name, offset }) => ({ name, ...spotOf(offset) }));
  const constructed = constructions(masked, new Set(models.map(({ name }) => name)));
  const sweeps = placesOf(/[{,]\s*sweep\s*[:,}]/g, masked);
  const experiments = scanExperiments(masked, imports, endOf).map(
    ({ exportName, offset, definition: { start, end } }) => ({
      exportName,
      ...spotOf(offset),
      models: constructed(start, end),
      ...(hasPlace(sweeps, start, end) ? { swept: true as const } : {}),
    }),
  );
  return { models, experiments };
}

/** The arguments of the call that makes an exported experiment, brackets included. */
export function definitionOf(source: string, exportName: string): Span | undefined {
  if (source.length > LONGEST_SOURCE) return undefined;
  const masked = maskSource(source);
  return scanExperiments(masked, scanImports(source, masked), bracketEnds(masked)).find(
    (declaration) => declaration.exportName === exportName,
  )?.definition;
}

interface Imports {
  /** Expressions that mean layerwise's `nn`, such as "nn" or "lw.nn". */
  nn: Set<string>;
  /** Expressions that mean `experiment`. */
  experiment: Set<string>;
  /** Names that mean `nn.Module` itself. */
  module: Set<string>;
  /** Names imported from the user's other files: base classes that may be models. */
  local: Set<string>;
}

function scanImports(source: string, masked: string): Imports {
  const imports: Imports = {
    nn: new Set(["nn"]),
    experiment: new Set(["experiment"]),
    module: new Set(),
    local: new Set(),
  };
  for (const { clause, specifier } of importClauses(source, masked)) {
    const namespace = new RegExp(`\\*\\s*as\\s+(${NAME})`).exec(clause)?.[1];
    const named = [...clause.matchAll(new RegExp(`(?:\\btype\\s+)?(${NAME})(?:\\s+as\\s+(${NAME}))?`, "g"))]
      .filter((name) => name[1] !== "type" && name[1] !== "as")
      .map((name) => ({ name: name[1] ?? "", local: name[2] ?? name[1] ?? "" }));
    if (specifier.startsWith(".")) {
      for (const { local } of named) imports.local.add(local);
      if (namespace !== undefined) imports.local.add(namespace);
    } else if (specifier === "layerwise") {
      if (namespace !== undefined) {
        imports.nn.add(`${namespace}.nn`);
        imports.experiment.add(`${namespace}.experiment`);
        continue;
      }
      for (const { name, local } of named) {
        if (name === "nn" || name === "experiment") imports[name].add(local);
        else if (name === "Module") imports.module.add(local);
      }
    }
  }
  // `const { Module } = nn;` is how some PyTorch users shorten it.
  for (const match of masked.matchAll(/\bconst\s*\{([^{}]*)\}\s*=\s*([\w$.]+)/g)) {
    if (imports.nn.has(match[2] ?? ""))
      for (const name of (match[1] ?? "").split(",")) {
        const [original, local] = name.split(":").map((part) => part.trim());
        if (original === "Module") imports.module.add(local ?? original);
      }
  }
  return imports;
}

/** The imports of a text: what stands between `import` and `from`, and the module's name. */
function* importClauses(
  source: string,
  masked: string,
): Generator<{ clause: string; specifier: string }, void> {
  let start: number | undefined;
  for (const { 0: found, index } of masked.matchAll(/\bimport\s|[;"']/g)) {
    if (found.startsWith("import")) {
      start ??= index + found.length;
      continue;
    }
    const clause = start === undefined ? "" : masked.slice(start, index).trim();
    start = undefined;
    if (found === ";" || !clause.endsWith("from")) continue;
    const end = source.indexOf(found, index + 1);
    yield { clause: clause.slice(0, -"from".length), specifier: source.slice(index + 1, end) };
  }
}

/** Classes that are modules: their base is in layerwise's `nn`, or is itself a module of the file. */
function scanClasses(masked: string, imports: Imports, endOf: EndOfBrackets): ClassDeclaration[] {
  const all: ClassDeclaration[] = [];
  const pattern = new RegExp(
    `(?:\\bexport\\s+)?(?:\\bdefault\\s+)?(\\babstract\\s+)?\\bclass\\s+(${NAME})|` +
      `(?:\\bexport\\s+)?\\b(?:const|let|var)\\s+(${NAME})\\s*=\\s*class\\b(?:\\s+(?!extends\\b)${NAME})?`,
    "g",
  );
  const extended = /\s*extends\s+([\w$]+(?:\s*\.\s*[\w$]+)*)/y;
  const forwards = placesOf(/\bforward\s*[(=<]/g, masked);
  let open = 0;
  for (const match of masked.matchAll(pattern)) {
    let at = skipSpace(masked, match.index + match[0].length);
    if (masked[at] === "<") at = endOf(at);
    extended.lastIndex = at;
    const base = extended.exec(masked);
    if (base === null) continue;
    // The next bracket may be far away, and be that of many classes.
    if (open < extended.lastIndex) open = masked.indexOf("{", extended.lastIndex);
    if (open < 0) open = masked.length;
    all.push({
      name: match[2] ?? match[3] ?? "",
      base: (base[1] ?? "").replace(/\s+/g, ""),
      offset: match.index,
      abstract: match[1] !== undefined,
      hasForward: hasPlace(forwards, open, endOf(open)),
    });
  }
  const derived = new Map<string, string[]>();
  for (const { name, base } of all) addTo(derived, base, name);
  const due = all.filter((declaration) => isModule(declaration, imports)).map(({ name }) => name);
  const modules = new Set<string>();
  // A class may be declared before its base.
  for (const name of due) {
    if (modules.has(name)) continue;
    modules.add(name);
    for (const one of derived.get(name) ?? []) due.push(one);
  }
  return all.filter((declaration) => modules.has(declaration.name));
}

/** Whether a class is a module by its base alone. */
function isModule({ base, hasForward }: ClassDeclaration, { nn, module, local }: Imports): boolean {
  const [first = base, second = ""] = base.split(".", 2);
  if (module.has(base) || (hasForward && local.has(first))) return true;
  return (
    (first !== base && nn.has(first)) ||
    (base.startsWith(`${first}.${second}.`) && nn.has(`${first}.${second}`))
  );
}

interface ExperimentDeclaration {
  exportName: string;
  offset: number;
  /** The arguments of the call, brackets included. */
  definition: Span;
}

function scanExperiments(masked: string, imports: Imports, endOf: EndOfBrackets): ExperimentDeclaration[] {
  const pattern = new RegExp(
    `(?:(\\bexport)\\s+)?(?:\\b(default)\\b|\\b(?:const|let|var)\\s+(${NAME})\\s*(?::[^=;]{0,500})?=)\\s*` +
      `(?:await\\s+)?(${NAME}(?:\\.${NAME})?)\\s*(?=[(<])`,
    "g",
  );
  const exported = scanExportLists(masked);
  const found: ExperimentDeclaration[] = [];
  for (const match of masked.matchAll(pattern)) {
    if (!imports.experiment.has(match[4] ?? "")) continue;
    let start = match.index + match[0].length;
    if (masked[start] === "<") start = skipSpace(masked, endOf(start));
    if (masked[start] !== "(") continue;
    const definition = { start, end: endOf(start) };
    const names =
      match[1] === undefined ? (exported.get(match[3] ?? "") ?? []) : [match[2] ?? match[3] ?? ""];
    for (const exportName of names.slice(0, MOST - found.length))
      found.push({ exportName, offset: match.index, definition });
  }
  return found;
}

/** `export { a, b as c }` and `export default a`: the names under which each local name is exported. */
function scanExportLists(masked: string): Map<string, string[]> {
  const exported = new Map<string, string[]>();
  for (const list of masked.matchAll(/\bexport\s*\{([^{}]*)\}(?!\s*from\b)/g))
    for (const entry of (list[1] ?? "").split(",")) {
      const [local = "", as, name] = entry.trim().split(/\s+/);
      if (local !== "") addTo(exported, local, as === "as" && name !== undefined ? name : local);
    }
  for (const match of masked.matchAll(new RegExp(`\\bexport\\s+default\\s+(${NAME})\\s*(?:;|$)`, "gm")))
    addTo(exported, match[1]!, "default");
  return exported;
}

function addTo(lists: Map<string, string[]>, key: string, value: string): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else list.push(value);
}

/** Finds the models that a span constructs, in order of appearance. */
function constructions(
  masked: string,
  models: ReadonlySet<string>,
): (start: number, end: number) => string[] {
  const all = [...masked.matchAll(new RegExp(`\\bnew\\s+(${NAME})`, "g"))].filter(({ 1: name }) =>
    models.has(name!),
  );
  const places = all.map(({ index }) => index);
  return (start, end) => {
    const found = new Set<string>();
    for (let i = firstFrom(places, start); i < all.length && places[i]! < end; i++) {
      found.add(all[i]![1]!);
      if (found.size === models.size) break;
    }
    return [...found];
  };
}

const placesOf = (pattern: RegExp, masked: string): number[] =>
  [...masked.matchAll(pattern)].map(({ index }) => index);

/** Whether one of the places, which ascend, is in a span. */
const hasPlace = (places: readonly number[], start: number, end: number): boolean =>
  (places[firstFrom(places, start)] ?? end) < end;

/** The index of the first place from a position on. */
function firstFrom(places: readonly number[], position: number): number {
  let low = 0;
  let high = places.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (places[middle]! < position) low = middle + 1;
    else high = middle;
  }
  return low;
}

function skipSpace(masked: string, from: number): number {
  const space = /\s*/y;
  space.lastIndex = from;
  space.exec(masked);
  return space.lastIndex;
}

function spotFinder(source: string): (offset: number) => SourceSpot {
  const starts = [0];
  for (let i = source.indexOf("\n"); i >= 0; i = source.indexOf("\n", i + 1)) starts.push(i + 1);
  return (offset) => {
    const line = firstFrom(starts, offset + 1) - 1;
    return { line, column: offset - starts[line]! };
  };
}
