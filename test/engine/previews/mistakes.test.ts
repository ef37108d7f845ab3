import { describe, expect, test } from "vitest";
import { experimentFile, jsonLines, readRun, useWorkspace } from "../workspace.ts";

const workspace = useWorkspace();

/** Error output of all commands that need an experiment, for a mistake in the file. */
async function failures(file: string, commands = ["train", "summary"]): Promise<string[]> {
  const run = async (command: string): Promise<string> => {
    const { code, stderr } = await workspace.run([command, file], { env: { LAYERWISE_LOAD_LIMIT: "1" } });
    expect(code).toBe(1);
    return stderr.replace(/^Running on .*\n/, "");
  };
  return Promise.all(commands.map(run));
}

describe("one clear message at the user's line", () => {
  test("a syntax error", async () => {
    workspace.write(
      "model.nn.ts",
      'import { nn } from "layerwise";\nconst layer = new nn.Linear(1, 2;\nexport { layer };\n',
    );
    const expected = `model.nn.ts:2:33 error: Expected ")" but found ";"
  1 | import { nn } from "layerwise";
> 2 | const layer = new nn.Linear(1, 2;
    |                                 ^
  3 | export { layer };
`;
    expect(await failures("model.nn.ts", ["train", "summary", "run", "print"])).toEqual([
      expected,
      expected,
      expected,
      expected,
    ]);
  });

  test("a wrong shape, with the module and the calls that led there", async () => {
    workspace.write(
      "model.nn.ts",
      experimentFile(
        { model: "() => new Deep()" },
        `class Block extends nn.Module {
  inner = new nn.Linear(7, 3);
  forward(x: Tensor): Tensor {
    return this.inner(x);
  }
}
class Deep extends nn.Module {
  block = new Block();
  forward(x: Tensor): Tensor {
    return this.block(x);
  }
}`,
      ),
    );
    const [train, summary] = await failures("model.nn.ts");
    expect(train)
      .toContain(`model.nn.ts:11:17 error: addmm: mat1 and mat2 shapes cannot be multiplied (8x4 and 7x3)
  10 |   forward(x: Tensor): Tensor {
> 11 |     return this.inner(x);
     |                 ^^^^^
  12 |   }
  in module block.inner
  called at model.nn.ts:17:17
`);
    expect(summary).toBe(train);
  });

  test("a missing default export, and one that is no experiment", async () => {
    workspace.write(
      "none.nn.ts",
      'import { nn } from "layerwise";\nexport class Net extends nn.Module { forward() {} }\nexport const n = 3;\n',
    );
    const [none] = await failures("none.nn.ts", ["train"]);
    expect(none).toMatch(/^none\.nn\.ts:1:1 error: The file has no default export\.\n/);
    expect(none).toContain("hint: It exports Net, n. Add: export default experiment({");

    workspace.write(
      "wrong.nn.ts",
      `${experimentFile()}export const other = 3;\n`.replace("export default", "export const small ="),
    );
    expect(await failures("wrong.nn.ts#other", ["train"])).toEqual([
      expect.stringContaining('error: The export "other" is 3, not an experiment.'),
    ]);
    expect(await failures("wrong.nn.ts#nobody", ["train"])).toEqual([
      expect.stringMatching(/The file has no export "nobody"\.\n[\s\S]*hint: Its experiments: #small\./),
    ]);
  });

  test("the only experiment of a file needs no name", async () => {
    workspace.write(
      "named.nn.ts",
      experimentFile({ epochs: "1" }).replace("export default", "export const small ="),
    );
    expect((await workspace.run(["train", "named.nn.ts"])).code).toBe(0);
    expect(readRun(workspace.runs()[0]!).exportName).toBe("small");
  });

  test("an endless loop at top level", async () => {
    workspace.write(
      "loop.nn.ts",
      `let i = 0;\nfunction spin() {\n  for (;;) i++;\n}\nspin();\n${experimentFile()}`,
    );
    const [train] = await failures("loop.nn.ts", ["train"]);
    expect(train).toMatch(
      /^loop\.nn\.ts:3:\d+ error: The top-level code of loop\.nn\.ts has been running for 1 s\n/,
    );
    expect(readRun(workspace.runs()[0]!)).toMatchObject({
      state: "failed",
      error: { code: "timeout", position: { line: 3 } },
    });
  });

  test("an endless loop after an await, and an await that doesn't come back", async () => {
    workspace.write("late.nn.ts", "await Promise.resolve();\nwhile (true);\n");
    expect(await failures("late.nn.ts", ["train"])).toEqual([
      expect.stringMatching(
        /^late\.nn\.ts:2:\d+ error: The top-level code of late\.nn\.ts has been running for 1 s\n/,
      ),
    ]);
    workspace.write("wait.nn.ts", "setInterval(() => {}, 1000);\nawait new Promise(() => {});\n");
    expect(await failures("wait.nn.ts", ["train"])).toEqual([
      expect.stringMatching(
        /^wait\.nn\.ts:1:1 error: The top-level code of wait\.nn\.ts has been waiting for 1 s\n/,
      ),
    ]);
  });

  test("an exception in the model, the data, a metric, a step and a callback", async () => {
    const places: Record<string, string> = {
      model: '() => { throw new Error("here"); }',
      data: 'async () => { throw new Error("here"); }',
      metrics: '{ mine: () => { throw new Error("here"); } }',
      trainStep: '() => { throw new Error("here"); }',
      callbacks: '{ onEpochEnd: () => { throw new Error("here"); } }',
    };
    const check = async ([option, code]: [string, string]): Promise<void> => {
      const text = experimentFile({ [option]: code });
      const line = text.split("\n").findIndex((one) => one.includes('Error("here")')) + 1;
      workspace.write(`${option}.nn.ts`, text);
      const [train] = await failures(`${option}.nn.ts`, ["train"]);
      expect(train).toContain(`${option}.nn.ts:${line}:`);
      expect(train).toContain("error: here\n");
    };
    await Promise.all(Object.entries(places).map(check));
  });

  test("an option that experiment() doesn't take", async () => {
    workspace.write("model.nn.ts", experimentFile({ epochs: "0" }));
    const [train] = await failures("model.nn.ts", ["train"]);
    expect(train).toMatch(
      /^model\.nn\.ts:9:16 error: experiment\(\): expected epochs to be a whole number of at least 1, got 0\n/,
    );
  });

  test("an uncaught error, in a program and in a run", async () => {
    workspace.write("program.nn.ts", 'console.log("before");\nsetTimeout(() => {\n  null!.x;\n}, 10);\n');
    const result = await workspace.run(["run", "program.nn.ts"]);
    expect(result).toMatchObject({ code: 1, stdout: "before\n" });
    expect(result.stderr).toMatch(
      /^program\.nn\.ts:3:9 error: TypeError: Cannot read properties of null \(reading 'x'\)\n/,
    );
    workspace.write(
      "model.nn.ts",
      experimentFile({
        callbacks:
          '{ onStepEnd: ({ step }) => { if (step === 40) void Promise.reject(new Error("lost")); } }',
      }),
    );
    expect(await failures("model.nn.ts", ["train"])).toEqual([expect.stringContaining("error: lost\n")]);
    // The weights trained so far are kept.
    expect(readRun(workspace.runs()[0]!)).toMatchObject({ state: "failed", checkpoints: [{ kind: "last" }] });
  });

  test("with --json errors are data", async () => {
    workspace.write("model.nn.ts", "export default = 3;\n");
    const trained = await workspace.run(["train", "model.nn.ts", "--json"]);
    expect(jsonLines(trained.stdout).at(-1)).toMatchObject({
      event: "error",
      error: { code: "syntax", position: { line: 1, column: 16 } },
    });
    const printed = await workspace.run(["print", "model.nn.ts", "--json"]);
    expect(jsonLines(printed.stdout)).toMatchObject([{ event: "error", error: { code: "syntax" } }]);
  });
});
