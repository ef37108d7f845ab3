import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import vm from "node:vm";
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

function run(source = SOURCE, cachedData?: Buffer): vm.Script {
  const script = new vm.Script(source, cachedData === undefined ? {} : { cachedData });
  const add = (script.runInThisContext() as () => (x: number) => number)();
  expect(add(1)).toBe(2);
  return script;
}

test("a process starts with what one before has compiled", () => {
  expect(open().read()).toBeUndefined();
  open().keep(run());
  const data = open().read();
  expect(data).toBeDefined();
  expect(run(SOURCE, data).cachedDataRejected).toBe(false);
});

test("a process that has compiled nothing new writes nothing", () => {
  open().keep(run());
  const before = fs.statSync(path.join(folder, files()[0]!), { bigint: true });
  const code = open();
  code.keep(run(SOURCE, code.read()));
  expect(fs.statSync(path.join(folder, files()[0]!), { bigint: true }).mtimeNs).toBe(before.mtimeNs);
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
  open().keep(run());
  const file = path.join(folder, files()[0]!);
  fs.writeFileSync(file, damage(fs.readFileSync(file)));
  const code = open();
  expect(code.read()).toBeUndefined();
  code.keep(run());
  expect(open().read()).toBeDefined();
});

test("code of another source of the same length is not used", () => {
  open().keep(run());
  expect(open(SOURCE.replace("1", "2")).read()).toBeUndefined();
});

test("files of old versions are removed, those of other programs are not", () => {
  new CompiledCode(folder, "runEngine", Buffer.from("old")).keep(run());
  for (let version = 0; version < 6; version++) {
    const source = `${SOURCE} // ${version}`;
    open(source).keep(run(source));
    // So that the file system can tell which is older.
    for (const name of files()) {
      const file = path.join(folder, name);
      const { mtimeMs } = fs.statSync(file);
      fs.utimesSync(file, new Date(), new Date(mtimeMs - 2000));
    }
  }
  expect(files().filter((name) => name.startsWith("cli-"))).toHaveLength(4);
  expect(open(`${SOURCE} // 5`).read()).toBeDefined();
  expect(open(`${SOURCE} // 1`).read()).toBeUndefined();
  expect(files().some((name) => name.startsWith("runEngine-"))).toBe(true);
});

test("a folder that can't be made is no error", () => {
  fs.writeFileSync(folder, "a file");
  open().keep(run());
  expect(open().read()).toBeUndefined();
});
