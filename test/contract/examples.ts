// The examples in the docstrings of classes: found in the source, run as they stand.
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { compileFunction } from "node:vm";
import { transformSync } from "esbuild";
import * as library from "../../extension/nn/index.ts";

const source = fileURLToPath(new URL("../../extension/nn/", import.meta.url));

/** Docstrings of all classes of the library, by name. */
function docstrings(): Map<string, string> {
  const files = readdirSync(source, { recursive: true, encoding: "utf8" }).filter((f) => f.endsWith(".ts"));
  const found = new Map<string, string>();
  for (const file of files) {
    const text = readFileSync(path.join(source, file), "utf8");
    for (const [, doc, name] of text.matchAll(
      /\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\nexport (?:abstract )?class (\w+)/g,
    )) {
      found.set(name!, doc!.replaceAll(/^ *\* ?/gm, ""));
    }
  }
  return found;
}

/** The first example of each class. */
export const EXAMPLES: ReadonlyMap<string, string> = new Map(
  [...docstrings()].flatMap(([name, doc]) => {
    const example = /```ts\n([\s\S]*?)```/.exec(doc)?.[1];
    return example === undefined ? [] : [[name, example]];
  }),
);

/**
 * Runs an example with the library's exports in scope. A line `expression; // [8, 16]` also says what comes out, as JSON;
 * `differs` is told when something else does.
 */
export function runExample(example: string, differs: (line: string, got: string) => void): void {
  const checked = example.replaceAll(/^(.+);\s*\/\/ (.+)$/gm, (line, expression: string, expected: string) =>
    isJson(expected) ? `check(${JSON.stringify(line)}, ${expression}, ${expected});` : line,
  );
  const { code } = transformSync(checked.replaceAll(/^import .*$/gm, ""), { loader: "ts" });
  const check = (line: string, got: unknown, expected: unknown): void => {
    if (JSON.stringify(got) !== JSON.stringify(expected)) differs(line, JSON.stringify(got));
  };
  const scope = { ...library, check };
  const run = compileFunction(code, Object.keys(scope)) as (...args: unknown[]) => unknown;
  run(...Object.values(scope));
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
