/** Programs that end otherwise than they should, run as a stranger would: exit codes, messages, signals, input. */
import { describe, expect, test } from "vitest";
import { patience } from "../../patience.ts";
import { useWorkspace, type Result } from "../workspace.ts";

const workspace = useWorkspace();

const run = (text: string, input?: string): Promise<Result> =>
  workspace.run(["run", workspace.write("program.ts", text)], input === undefined ? {} : { input });

test.each<[name: string, text: string, code: number, said: string]>([
  ["a syntax error", "const x = (1;\n", 1, 'program.ts:1:13 error: Expected ")" but found ";"'],
  [
    "a missing file",
    'import { a } from "./a";\nconsole.log(a);\n',
    1,
    'program.ts:1:19 error: Could not resolve "./a"',
  ],
  [
    "a missing package",
    'import a from "no-such-package";\nconsole.log(a);\n',
    1,
    "npm install no-such-package",
  ],
  [
    "a wrong shape",
    'import { torch, nn } from "layerwise";\nnew nn.Linear(4, 2)(torch.ones(3, 5));\n',
    1,
    "program.ts:2:19 error: addmm: mat1 and mat2 shapes cannot be multiplied (3x5 and 4x2)",
  ],
  [
    "an exception in the middle",
    'console.log("before");\nthrow new Error("boom");\n',
    1,
    "program.ts:2:7 error: boom",
  ],
  ["an object that is no error", "throw { code: 42 };\n", 1, "error: Uncaught { code: 42 }"],
  [
    "a cause",
    'throw new Error("outer", { cause: new TypeError("middle", { cause: "inner" }) });\n',
    1,
    'hint: Caused by TypeError: middle\n  hint: Caused by "inner"',
  ],
  [
    "a forgotten promise",
    'void Promise.reject(new Error("lost"));\nawait new Promise((r) => setTimeout(r, 100));\n',
    1,
    "program.ts:1:21 error: lost",
  ],
  ["a timer", 'setTimeout(() => { throw new Error("late"); }, 10);\n', 1, "program.ts:1:26 error: late"],
  [
    "a top-level await that never settles",
    "await new Promise(() => undefined);\n",
    1,
    "The program's top-level await never resolves: no timer, file or connection is pending.",
  ],
])("%s", async (_, text, code, said) => {
  const result = await run(text);
  expect(result.stderr).toContain(said);
  expect(result.stderr).not.toContain("__layerwise");
  expect(result.code).toBe(code);
});

test.each<[name: string, text: string, code: number, printed: string]>([
  ["process.exit", 'console.log("a");\nprocess.exit(3);\n', 3, "a\n"],
  ["process.exitCode", "process.exitCode = 5;\n", 5, ""],
  [
    "a top-level await, and a timer after it",
    'await Promise.resolve();\nsetTimeout(() => console.log("t"), 10);\n',
    0,
    "t\n",
  ],
  [
    "much output",
    'for (let i = 0; i < 20000; i++) console.log("x".repeat(60), i);\n',
    0,
    `${"x".repeat(60)} 19999\n`,
  ],
])("%s", async (_, text, code, printed) => {
  const result = await run(text);
  expect(result.stderr).toBe("");
  expect(result.stdout.endsWith(printed)).toBe(true);
  expect(result.code).toBe(code);
});

test("what is piped into the command is the program's standard input", async () => {
  const text =
    'let text = "";\nfor await (const part of process.stdin) text += part;\nconsole.log(text.toUpperCase());\n';
  expect((await run(text, "one\ntwo")).stdout).toBe("ONE\nTWO\n");
  expect((await run(text, "")).stdout).toBe("\n");
});

describe("Ctrl-C", () => {
  const interrupted = async (text: string): Promise<Result> => {
    const command = workspace.start(["run", workspace.write("program.ts", text)]);
    await command.printed("started");
    command.child.kill("SIGINT");
    return command.ended;
  };

  test("ends a program that computes, and one that waits", async () => {
    for (const text of ["for (;;);", "await new Promise((r) => setTimeout(r, 60000));"])
      expect(await interrupted(`console.log("started");\n${text}\n`)).toMatchObject({
        code: 130,
        stderr: "",
      });
  });

  test("is a program's own, if it handles it", async () => {
    const wait = 'console.log("started");\nawait new Promise((r) => setTimeout(r, 60000));\n';
    const exits = `process.on("SIGINT", () => { console.log("saved"); process.exit(7); });\n${wait}`;
    expect(await interrupted(exits)).toMatchObject({ code: 7, stdout: "started\nsaved\n" });
    const stops = `let stopped = () => {};\nprocess.once("SIGINT", () => stopped());\nconsole.log("started");
const timer = setInterval(() => {}, 1000);
await new Promise<void>((r) => (stopped = r));\nclearInterval(timer);\nconsole.log("saved");\n`;
    expect(await interrupted(stops)).toMatchObject({ code: 0, stdout: "started\nsaved\n" });
  });

  test("twice ends what doesn't come back to its handler", async () => {
    const text = 'process.on("SIGINT", () => {});\nconsole.log("started");\nfor (;;);\n';
    const command = workspace.start(["run", workspace.write("program.ts", text)]);
    await command.printed("started");
    command.child.kill("SIGINT");
    // A second signal is none where the first one has not arrived.
    await new Promise((resolve) => setTimeout(resolve, patience(200)));
    command.child.kill("SIGINT");
    expect((await command.ended).code).toBe(130);
  });
});

test("a file that can't be trained says what it is, and what to do", async () => {
  const train = async (text: string): Promise<string> =>
    (await workspace.run(["train", workspace.write("net.nn.ts", text)])).stderr;
  expect(await train('console.log("x");\n')).toContain(
    "It exports nothing. Run it as a program (layerwise run)",
  );
  expect(await train("export default Promise.resolve(1);\n")).toMatch(
    /The default export is a promise, not an experiment\.[^]*Await the promise: export default await …/,
  );
  expect(await train("export default 3;\n")).toContain("The default export is 3, not an experiment.");
});
