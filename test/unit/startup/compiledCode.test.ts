import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import type vm from "node:vm";
import { afterEach, beforeEach, expect, test } from "vitest";
import { CompiledCode } from "../../../extension/startup/compiledCode.ts";

/** Its functions are compiled when they are called. */
const SOURCE = "(function () { const add = (x) => x + 1; return add; })";

let folder = "";
beforeEach(() => {
  folder = path.join(fs.mkdtempSync(path.join(os.tmpdir(), "layerwise-compiled-")), "compiled");
});
afterEach(() => fs.rmSync(path.dirname(folder), { recursive: true }));

const open = (source = SOURCE): CompiledCode => new CompiledCode(folder, "cli", Buffer.from(source));
const files = (): string[] => fs.readdirSync(folder);

/** A name of its own for each: V8 has what it has compiled in this process by name and source. */
let compilations = 0;
const nextName = (): string => `program${compilations++}.cjs`;

/** Runs the program as the next process would. */
function run(code: CompiledCode, source = SOURCE): vm.Script {
  const script = code.compile(source, nextName());
  const add = (script.runInThisContext() as () => (x: number) => number)();
  expect(add(1)).toBe(2);
  return script;
}

/** Runs it, and keeps what was compiled. */
function keep(code = open(), source = SOURCE): void {
  code.keep(run(code, source));
}

/** Whether a next process starts with compiled code: V8 says nothing where it gets none. */
const starts = (source = SOURCE): boolean => run(open(source), source).cachedDataRejected === false;

test("a process starts with what one before has compiled", () => {
  expect(starts()).toBe(false);
  keep();
  expect(starts()).toBe(true);
});

test("a process that has compiled nothing new writes nothing", () => {
  keep();
  const place = path.join(folder, files()[0]!);
  const before = fs.statSync(place, { bigint: true });
  keep();
  expect(fs.statSync(place, { bigint: true }).mtimeNs).toBe(before.mtimeNs);
});

test("code that V8 refuses is replaced", () => {
  const other = new CompiledCode(folder, "cli", Buffer.from(SOURCE));
  const longer = `${SOURCE} // another length`;
  other.keep(other.compile(longer, nextName()));
  const code = open();
  const script = run(code);
  expect(script.cachedDataRejected).toBe(true);
  code.keep(script);
  expect(starts()).toBe(true);
});

test.each([
  [
    "a changed byte",
    (bytes: Buffer) => bytes.fill(bytes.at(-100)! ^ 1, bytes.length - 100, bytes.length - 99),
  ],
  ["a changed digest", (bytes: Buffer) => bytes.fill(bytes[0]! ^ 1, 0, 1)],
  ["a missing end", (bytes: Buffer) => bytes.subarray(0, bytes.length / 2)],
  ["nothing", () => Buffer.alloc(0)],
])("a file with %s is not used, and replaced", (_, damage) => {
  keep();
  const file = path.join(folder, files()[0]!);
  fs.writeFileSync(file, damage(fs.readFileSync(file)));
  const code = open();
  const script = run(code);
  expect(script.cachedDataRejected).toBeUndefined();
  code.keep(script);
  expect(starts()).toBe(true);
});

test("code of another source of the same length is not used", () => {
  keep();
  const source = SOURCE.replace("x + 1", "1 + x");
  expect(run(open(source), source).cachedDataRejected).toBeUndefined();
});

test("files of old versions are removed, those of other programs are not", () => {
  keep(new CompiledCode(folder, "runEngine", Buffer.from(SOURCE)));
  for (let version = 0; version < 6; version++) {
    const source = `${SOURCE} // ${version}`;
    keep(open(source), source);
    // So that the file system can tell which is older.
    for (const name of files()) {
      const file = path.join(folder, name);
      const { mtimeMs } = fs.statSync(file);
      fs.utimesSync(file, new Date(), new Date(mtimeMs - 2000));
    }
  }
  expect(files().filter((name) => name.startsWith("cli-"))).toHaveLength(4);
  expect(starts(`${SOURCE} // 5`)).toBe(true);
  expect(starts(`${SOURCE} // 1`)).toBe(false);
  expect(files().some((name) => name.startsWith("runEngine-"))).toBe(true);
});

test("a folder that can't be made is no error", () => {
  fs.writeFileSync(folder, "a file");
  keep();
  expect(starts()).toBe(false);
});
