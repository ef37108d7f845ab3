import fs from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { describeError } from "../../../extension/engine/host/userErrors.ts";
import { loadUserModule, SyntaxErrors } from "../../../extension/engine/host/userModule.ts";
import type { UserError } from "../../../extension/protocol/errors.ts";
import { useFolder } from "../../folders.ts";

const folder = useFolder();

function write(name: string, text: string): string {
  const file = path.join(folder, name);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, text);
  return file;
}

const library = {
  call: (f: () => unknown) => f(),
  refuse: (): never => {
    throw Object.assign(new Error("mat1 and mat2 shapes cannot be multiplied"), {
      code: "shape",
      module: "fc1",
    });
  },
};

async function failure(file: string, text?: string): Promise<UserError> {
  try {
    await loadUserModule(file, { library, text });
  } catch (error) {
    return describeError(error);
  }
  throw new Error("expected the module to fail");
}

test("exports are what the file exports, types are gone, top-level await works", async () => {
  const file = write(
    "model.nn.ts",
    `import { call } from "layerwise";
import { helper } from "./lib/helper.ts";
export class Net { constructor(readonly size: number) {} }
export const answer: number = await Promise.resolve(call(() => helper(41)) as number);
export default "the default";`,
  );
  write("lib/helper.ts", "export const helper = (x: number): number => x + 1;");
  const module = await loadUserModule(file, { library });
  expect(Object.keys(module.exports).sort()).toEqual(["Net", "answer", "default"]);
  expect(module.exports["answer"]).toBe(42);
  expect((module.exports["Net"] as { name: string }).name).toBe("Net");
});

test("unsaved text stands in for the file, which need not exist; Node's modules and import.meta are there", async () => {
  const file = path.join(folder, "new.nn.ts");
  const module = await loadUserModule(file, {
    library,
    text: `import path from "node:path"; import { basename } from "path";
export const names = [path.basename(import.meta.url), basename(import.meta.filename)];`,
  });
  expect(module.exports["names"]).toEqual(["new.nn.ts", "new.nn.ts"]);
});

test("packages come from the workspace", async () => {
  write("node_modules/words/package.json", '{"name": "words", "main": "index.js"}');
  write("node_modules/words/index.js", "exports.word = 'found';");
  const file = write("model.nn.ts", 'import { word } from "words"; export { word };');
  expect((await loadUserModule(file, { library })).exports["word"]).toBe("found");
});

test("a syntax error has its line, column and length", async () => {
  const file = write("model.nn.ts", 'const é = "ü", a = = 1;\n');
  expect(await failure(file)).toEqual({
    code: "syntax",
    message: 'Unexpected "="',
    position: { file, line: 1, column: 20, endColumn: 21 },
  });
});

test.each([
  ["little", "utf16le"],
  ["big", "utf16be"],
])("a file of UTF-16, %s end first, is named as that", async (_, order) => {
  const bytes = Buffer.from(`\uFEFFexport {};\n`, "utf16le");
  const file = write("model.nn.ts", "");
  fs.writeFileSync(file, order === "utf16be" ? bytes.swap16() : bytes);
  expect(await failure(file)).toMatchObject({
    code: "syntax",
    message: "The file's text is UTF-16, not UTF-8",
    position: { file, line: 1, column: 1 },
    hint: expect.stringContaining("Save with Encoding"),
  });
});

test("every syntax error is reported", async () => {
  const file = write(
    "model.nn.ts",
    'import { nope, neither } from "layerwise";\nconsole.log(nope, neither);',
  );
  const error = await loadUserModule(file, { library }).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(SyntaxErrors);
  expect(
    (error as SyntaxErrors).errors.map((one) => [one.message, one.position?.line, one.position?.column]),
  ).toEqual([
    ['"layerwise" has no export named "nope"', 1, 10],
    ['"layerwise" has no export named "neither"', 1, 16],
  ]);
});

test("a missing package says how to get it", async () => {
  const file = write("model.nn.ts", '\nimport chart from "no-such-chart";\nexport default chart;');
  expect(await failure(file)).toMatchObject({
    code: "import",
    position: { line: 2, column: 19 },
    hint: "Install it in the workspace: npm install no-such-chart",
  });
});

test("an error at top level is at the failing call, through the library and other files", async () => {
  const helper = write("helper.ts", "\nexport function fail(): never {\n  null!.x;\n  throw 1;\n}\n");
  const file = write(
    "model.nn.ts",
    'import { call } from "layerwise";\nimport { fail } from "./helper.ts";\n\nconst value =   call(() => fail());\nexport { value };\n',
  );
  const error = await failure(file);
  expect(error.code).toBe("exception");
  expect(error.message).toMatch(/^TypeError: Cannot read properties of null/);
  expect(error.stack).toEqual([
    { file: helper, line: 3, column: 9, endColumn: 10 },
    { file, line: 4, column: 28, endColumn: 32 },
    { file, line: 4, column: 17, endColumn: 21 },
  ]);
});

test("the library's errors keep their code and module; what no user code led to is internal", async () => {
  const file = write("model.nn.ts", 'import { refuse } from "layerwise";\n\n  refuse();\n');
  expect(await failure(file)).toMatchObject({
    code: "shape",
    module: "fc1",
    message: "mat1 and mat2 shapes cannot be multiplied",
    position: { file, line: 3, column: 3, endColumn: 9 },
  });
  expect(describeError(new TypeError("oops"))).toEqual({
    code: "internal",
    message: "internal: TypeError: oops",
  });
  expect(describeError("text")).toEqual({ code: "exception", message: 'Uncaught "text"' });
});

test("a package's frames are not the user's", async () => {
  write("node_modules/thrower/package.json", '{"name": "thrower", "main": "index.js"}');
  write("node_modules/thrower/index.js", "exports.fail = () => { throw new RangeError('inside'); };");
  const file = write("model.nn.ts", 'import { fail } from "thrower";\nfail();\n');
  const error = await failure(file);
  expect(error.stack).toEqual([{ file, line: 2, column: 1, endColumn: 5 }]);
});

test("a stack that user code prints shows its own lines", async () => {
  const file = write(
    "model.nn.ts",
    "class A {\n  make() {\n    return new Error('seen').stack;\n  }\n}\nexport const stack = new A().make();",
  );
  const { exports } = await loadUserModule(file, { library });
  expect(exports["stack"]).toContain(`${file}:3:12`);
});

/** The processes of esbuild that this one has started. */
function bundlers(): number[] {
  return fs.readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const [, parent] = /\) \S (\d+) /.exec(fs.readFileSync(`/proc/${name}/stat`, "utf8")) ?? [];
      const command = fs.readFileSync(`/proc/${name}/cmdline`, "utf8");
      return Number(parent) === process.pid && command.includes("--service=") ? [Number(name)] : [];
    } catch {
      // It has ended meanwhile.
      return [];
    }
  });
}

test.skipIf(process.platform !== "linux")(
  "is bundled although esbuild's own process was killed",
  async () => {
    const file = write("model.nn.ts", "export const answer = 41;");
    await loadUserModule(file, { library });
    const before = bundlers();
    expect(before).toHaveLength(1);
    for (const pid of before) process.kill(pid, "SIGKILL");
    expect((await loadUserModule(file, { library })).exports).toMatchObject({ answer: 41 });
    expect(bundlers()).not.toEqual(before);
  },
);
