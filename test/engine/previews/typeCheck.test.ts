// Type errors of a program are reported while it runs.
import { expect, test } from "vitest";
import { readErrors } from "../../../extension/cli/typeCheck.ts";
import { useWorkspace } from "../workspace.ts";

const workspace = useWorkspace("all");

const WRONG = `import { print } from "layerwise";
const n: string = 3;
print("begins", n);
`;
/** Waits, so that the check is over before the program is. */
const WAITING = `${WRONG}await new Promise((go) => setTimeout(go, 60_000));\n`;

const checked = { LAYERWISE_NO_CHECK: undefined };

test("a program's type errors are a warning with file, line and text; --no-check looks for none", async () => {
  const unchecked = workspace.start(["run", "--no-check", workspace.write("quiet.nn.ts", WAITING)], checked);
  await unchecked.printed("begins 3");
  const command = workspace.start(["run", workspace.write("wrong.nn.ts", WAITING)], checked);
  await command.printed("begins 3");
  await command.printed("Type 'number' is not assignable to type 'string'.");
  await command.printed("wrong.nn.ts:2:");
  await command.printed("Warning: 1 type error in");
  // It began earlier.
  unchecked.child.kill("SIGINT");
  command.child.kill("SIGINT");
  await command.ended;
  expect((await unchecked.ended).stderr).toBe("");
});

test("a program that is over before the check has its warning, and isn't failed by it", async () => {
  const { code, stdout, stderr } = await workspace.run(["run", workspace.write("short.nn.ts", WRONG)], {
    env: checked,
  });
  expect([code, stdout.trim()]).toEqual([0, "begins 3"]);
  expect(stderr).toContain("Type 'number' is not assignable to type 'string'.");
});

test("errors of the user's files alone are read, and what isn't an error is left out", () => {
  const output = [
    "a.nn.ts(2,7): error TS2322: Type 'number' is not assignable to type 'string'.",
    "  Its second line.",
    "node_modules/other/index.ts(1,1): error TS1005: ';' expected.",
    "error TS5083: Cannot read file.",
    "a.nn.ts(3,1): error TS2591: Cannot find name 'node:fs'. Do you need to install type definitions for node?",
  ].join("\n");
  expect(readErrors(output, process.cwd())).toEqual([
    "a.nn.ts:2: Type 'number' is not assignable to type 'string'.",
  ]);
});

test("of overloads that don't match, the reason that most of them give is read", () => {
  const null_ = "    Argument of type 'Parameter | null' is not assignable to parameter of type 'Tensor'.";
  const output = [
    "a.nn.ts(2,7): error TS2769: No overload matches this call.",
    "  Overload 1 of 3, '(tensor: Tensor, val: number): Tensor', gave the following error.",
    null_,
    "      Type 'null' is not assignable to type 'Tensor'.",
    "  Overload 2 of 3, '(tensor: Tensor, named: { val: number }): Tensor', gave the following error.",
    null_,
    "  Overload 3 of 3, '(named: { tensor: Tensor }): Tensor', gave the following error.",
    "    Expected 1 arguments, but got 2.",
    "a.nn.ts(4,1): error TS2304: Cannot find name 'x'.",
  ].join("\n");
  expect(readErrors(output, process.cwd())).toEqual([
    `a.nn.ts:2: No overload matches this call. ${null_.trim()}`,
    "a.nn.ts:4: Cannot find name 'x'.",
  ]);
});
