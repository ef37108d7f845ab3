// The other commands, and mistakes in a command line.
import fs from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { ForeignReader } from "../../../extension/formats/foreign/findRuns.ts";
import { loadSafetensors } from "../../../extension/formats/safetensors/safetensors.ts";
import { TUTORIAL_LINES } from "../../models.ts";
import { examples, experimentFile, jsonLines, useWorkspace } from "../workspace.ts";
import { gone } from "../../gone.ts";

const workspace = useWorkspace();

const example = (name: string): string => path.join(examples, name);

const PYTORCH_TEXT = `SimpleNN(
  (fc1): Linear(in_features=10, out_features=5, bias=True)
  (relu): ReLU()
  (fc2): Linear(in_features=5, out_features=2, bias=True)
)`;

describe("run", () => {
  test("says of a file that only defines an experiment that nothing was trained", async () => {
    const file = workspace.write("defines.nn.ts", experimentFile());
    const { code, stdout, stderr } = await workspace.run(["run", "--no-check", file]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "" });
    expect(stderr).toContain(`layerwise train ${file}`);
    const prints = workspace.write("prints.nn.ts", `${experimentFile()}\nconsole.log("done");`);
    const printed = await workspace.run(["run", "--no-check", prints]);
    expect(printed).toMatchObject({ stdout: "done\n", stderr: "" });
  });

  test("the tutorial prints what PyTorch prints, saves and loads", async () => {
    const result = await workspace.run(["run", example("tutorial.nn.ts")]);
    expect(result.stderr).toBe("");
    expect(result.stdout.trimEnd().split("\n")).toEqual([
      ...PYTORCH_TEXT.split("\n"),
      ...TUTORIAL_LINES,
      "Predicted labels: tensor([0, 0, 1, 1, 1])",
      "<All keys matched successfully>",
      "Reloaded labels:  tensor([0, 0, 1, 1, 1])",
    ]);
    expect(result.code).toBe(0);
    const { entries } = loadSafetensors(workspace.file("simple_nn.safetensors"));
    expect(entries.map(({ name }) => name).sort()).toEqual([
      "fc1.bias",
      "fc1.weight",
      "fc2.bias",
      "fc2.weight",
    ]);
  });

  test("waits for timers and promises, and exits as the program says", async () => {
    const file = workspace.write(
      "program.nn.ts",
      `import { print } from "layerwise";
setTimeout(() => { print("later"); process.exitCode = 7; }, 50);
print("first");`,
    );
    expect(await workspace.run(["run", file])).toMatchObject({ stdout: "first\nlater\n", code: 7 });
    const exits = workspace.write("exits.nn.ts", "console.log('here'); process.exit(3);");
    expect(await workspace.run(["run", exits])).toMatchObject({ stdout: "here\n", code: 3 });
  });

  test("runs what the program has registered for its exit to the end, once", async () => {
    const file = workspace.write(
      "atExit.nn.ts",
      `import fs from "node:fs";
import { print, torch } from "layerwise";
process.once("exit", (code) => fs.appendFileSync("exits.txt", "once " + code + "\\n"));
process.on("exit", (code) => {
  for (const until = Date.now() + 1500; Date.now() < until;);
  fs.appendFileSync("exits.txt", torch.ones(2).sum().item() + " " + code + "\\n");
  print("done");
});
if (process.argv[2] === "exit") process.exit(4);
if (process.argv[2] === "throw") throw new Error("uncaught");
process.exitCode = 3;`,
    );
    const codes = { "": 3, exit: 4, throw: 1 };
    for (const [end, code] of Object.entries(codes)) {
      const result = await workspace.run(["run", file, ...(end === "" ? [] : ["--", end])]);
      expect(result).toMatchObject({ stdout: "done\n", code });
      expect(fs.readFileSync(workspace.file("exits.txt"), "utf8")).toBe(`once ${code}\n2 ${code}\n`);
      fs.rmSync(workspace.file("exits.txt"));
    }
  });

  test("writes all events of a SummaryWriter, closed or not, however the program ends", async () => {
    const file = workspace.write(
      "events.nn.ts",
      `import { torch } from "layerwise";
const { SummaryWriter } = torch.utils.tensorboard;
const end = process.argv[2] ?? "";
// Events that are to wait are lost only if nothing of the process can run any more.
const writer = new SummaryWriter("runs/a", end.startsWith("SIG") ? {} : { maxQueue: 10 });
for (let step = 0; step < 25; step++) writer.addScalar("loss", torch.tensor(step), step);
if (end.startsWith("SIG")) process.kill(process.pid, end);
if (end === "exit") process.exit(0);
if (end === "throw") throw new Error("uncaught");
if (end === "timer") setTimeout(() => { throw new Error("uncaught"); });
if (end === "promise") void Promise.reject(new Error("uncaught"));
if (end !== "") for (const until = Date.now() + 100; Date.now() < until;);`,
    );
    for (const end of ["", "exit", "throw", "timer", "promise", "SIGKILL", "SIGTERM"]) {
      const result = await workspace.run(["run", file, ...(end === "" ? [] : ["--", end])]);
      if (end === "" || end === "exit") expect(result).toMatchObject({ stderr: "", code: 0 });
      else expect(result.code).not.toBe(0);
      const { runs } = await new ForeignReader(workspace.file("runs")).read();
      expect(runs.map(({ name, series: [curve] }) => [name, curve?.steps.length])).toEqual([["a", 25]]);
      fs.rmSync(workspace.file("runs"), { recursive: true });
    }
  });

  test("what follows -- are the program's arguments", async () => {
    const file = workspace.write(
      "arguments.nn.ts",
      "console.log(JSON.stringify(process.argv.slice(2)), process.argv[1]?.endsWith('arguments.nn.ts'));",
    );
    const own = ["--epochs", "3", "--lr=0.01", "--device", "tpu"];
    const result = await workspace.run(["run", file, "--seed", "1", "--", ...own]);
    expect(result).toMatchObject({ stdout: `${JSON.stringify(own)} true\n`, code: 0 });
    expect((await workspace.run(["run", file])).stdout).toBe("[] true\n");
    expect((await workspace.run(["run", file, "--epochs", "3"])).stderr).toContain(
      "unknown option '--epochs'",
    );
    expect((await workspace.run(["run", "--help"])).stdout).toContain("-- --epochs 3");
  });

  test("Ctrl-C ends it", async () => {
    const file = workspace.write("endless.nn.ts", 'console.log("pid", process.pid); for (;;);');
    const command = workspace.start(["run", file]);
    await command.printed("pid ");
    command.child.kill("SIGINT");
    const { code, stdout } = await command.ended;
    expect(code).toBe(130);
    await gone(Number(stdout.slice(4)));
  });

  test("names the line that keeps a training from stopping", async () => {
    const text = experimentFile({ callbacks: "{ onEpochEnd: () => {\nfor (;;);\n} }" });
    const line = text.split("\n").indexOf("for (;;);") + 1;
    const file = workspace.write("busy.nn.ts", text);
    const command = workspace.start(["train", file, "--no-check"], { LAYERWISE_LOAD_LIMIT: "1" });
    await command.printed(`Line ${line} of busy.nn.ts has been running for 1 s.`);
    command.child.kill("SIGINT");
    await command.printed("Ctrl-C again ends it at once.");
    command.child.kill("SIGINT");
    expect((await command.ended).code).toBe(130);
  });

  test("--seed comes before the first line", async () => {
    const file = workspace.write(
      "seed.nn.ts",
      'import { torch, print } from "layerwise"; print(torch.rand(2));',
    );
    // torch.manual_seed(7); print(torch.rand(2))
    expect((await workspace.run(["run", file, "--seed", "7"])).stdout).toBe("tensor([0.5349, 0.1988])\n");
  });
});

describe("lr-find", () => {
  test("prints the curve and suggests a rate; nothing is saved", async () => {
    const file = workspace.write("net.nn.ts", experimentFile());
    const result = await workspace.run(["lr-find", file, "--min", "1e-4", "--steps", "40"]);
    expect(result).toMatchObject({ code: 0, stderr: "" });
    expect(result.stdout).toMatch(/^Loss from lr 1\.00e-4 to 1\.00e\+0\n[▁-█]{40}\n/);
    expect(result.stdout).toMatch(/ <- steepest\n[^]*\nSuggested learning rate: \d\.\d\de-\d\n$/);
    expect(workspace.runs()).toEqual([]);
    const [answer] = jsonLines(
      (await workspace.run(["lr-find", file, "--min", "1e-4", "--steps", "40", "--json"])).stdout,
    );
    expect(answer).toMatchObject({ diverged: false, suggestion: expect.any(Number) });
    expect(answer!["points"]).toHaveLength(40);
    expect(await workspace.run(["lr-find", file, "--steps", "5"])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("There are too few points to suggest a rate"),
    });
    expect((await workspace.run(["lr-find", file, "--max", "1e-9"])).code).toBe(2);
  });
});

describe("print, summary, runs and usage", () => {
  test("print is PyTorch's print(model)", async () => {
    const result = await workspace.run(["print", example("simplenn.nn.ts")]);
    expect(result).toMatchObject({ code: 0, stdout: `${PYTORCH_TEXT}\n`, stderr: "" });
    expect((await workspace.run(["print", `${example("simplenn.nn.ts")}#default`])).stdout).toBe(
      `${PYTORCH_TEXT}\n`,
    );
  });

  test("every class has its own name, in the build too", async () => {
    const names = ["BertModel", "Embedding", "Transformer"];
    const file = workspace.write(
      "names.nn.ts",
      `import { nn } from "layerwise";
      class Own extends nn.Module {
        static make() { return new Own(); }
        table = nn.Embedding.fromPretrained(new nn.Embedding(2, 3).weight);
        bert = new nn.BertModel({ numHiddenLayers: 0 });
        forward() {}
      }
      console.log(String(Own.make()).split("(")[0], ${names.map((name) => `nn.${name}.name`).join(", ")});
      console.log(String(new Own().table), String(new Own().bert).split("(")[0]);`,
    );
    const result = await workspace.run(["run", file]);
    expect(result.stdout).toContain(`Own ${names.join(" ")}\nEmbedding(2, 3) BertModel\n`);
  });

  test("summary has shapes and counts of every layer", async () => {
    const result = await workspace.run(["summary", example("simplenn.nn.ts")]);
    expect(result.code).toBe(0);
    const line =
      "├─Linear: 1-1                            [100, 10]            [100, 5]             55                   5,500";
    expect(result.stdout.split("\n")).toContain(line);
    expect(result.stdout).toContain("Total params: 67\n");
    const digits = await workspace.run([
      "summary",
      example("digits.nn.ts"),
      "--columns",
      "kernel_size,trainable",
      "--width",
      "12",
      "--rows",
      "var_names",
      "--weights",
    ]);
    expect(digits.stdout).toContain(`
├─Conv2d (conv1)                         [3, 3]       True
│    └─weight                            [1, 16, 3, 3]
│    └─bias                              [16]
├─ReLU (relu)                            --           --
`);
  });

  test("runs lists what was run, and says what was killed", async () => {
    expect((await workspace.run(["runs"])).stdout).toBe("There are no runs in .layerwise/runs.\n");
    await workspace.run(["train", example("simplenn.nn.ts"), "--epochs", "2"]);
    const result = await workspace.run(["runs"]);
    expect(result.stdout).toMatch(
      /^run +kind +state +model .*\n\S+-simplenn +train +finished +SimpleNN +2\/2 +Loss: 0\.80\d\d +final\n$/,
    );
    expect(jsonLines((await workspace.run(["runs", "--json"])).stdout)).toMatchObject([
      { state: "finished", epoch: 2 },
    ]);
  });

  test("predict takes several inputs one after the other, and prints several outputs", async () => {
    const file = workspace.write(
      "both.nn.ts",
      `import { data, experiment, nn, optim, torch, type Tensor } from "layerwise";
class Both extends nn.Module {
  fc = new nn.Linear(2, 1);
  forward(x: Tensor, y: Tensor): [Tensor, Tensor] {
    return [x.mul(10), y.add(this.fc(x).mul(0))];
  }
}
export default experiment({
  model: () => new Both(),
  data: () => new data.TensorDataset(torch.zeros(4, 2), torch.zeros(4, 1), torch.zeros(4, 1)),
  optimizer: (parameters) => new optim.SGD(parameters, { lr: 0.1 }),
  validation: 0.5,
  batchSize: 2,
  epochs: 1,
  trainStep: ({ model, batch, optimizer }) => {
    const [, y] = model.forward(batch[0]!, batch[1]!);
    optimizer.zeroGrad();
    const loss = y.sum();
    loss.backward();
    optimizer.step();
    return loss;
  },
  validationStep: ({ model, batch }) => ({ size: model.forward(batch[0]!, batch[1]!)[1].sum() }),
});
`,
    );
    expect((await workspace.run(["train", file])).stdout).toContain("Val Size: 0.0000");
    expect((await workspace.run(["evaluate", file])).stdout).toContain("2 samples, Size: 0.0000");
    const rows = await workspace.run(["predict", file, "--input", "-", "--json"], {
      input: "[[1, 2, 3], [[4, 5], [6]]]",
    });
    expect(jsonLines(rows.stdout)).toEqual([{ output: [10, 20, 3] }, { output: [40, 50, 6] }]);
    const wrong = await workspace.run(["predict", file, "--input", "-"], { input: "[[1, 2]]" });
    expect(wrong.stderr).toContain(
      "Row 1 has 2 values, expected 3: a sample's inputs are [2], [1], one after the other.",
    );
    expect(jsonLines((await workspace.run(["predict", file, "--json", "--count", "1"])).stdout)).toEqual([
      { output: [0, 0, 0] },
    ]);
  });

  test("runs tells the exports of one file apart", async () => {
    const text = experimentFile({ epochs: "1" });
    const start = text.indexOf("export default ");
    const file = workspace.write(
      "net.nn.ts",
      `${text.replace("export default ", "export const small = ")}\n${text.slice(start).replace("export default ", "export const large = ")}`,
    );
    await workspace.run(["train", `${file}#small`]);
    await workspace.run(["train", `${file}#large`]);
    const models = (await workspace.run(["runs"])).stdout
      .split("\n")
      .map((line) => /Net \(\w+\)/.exec(line)?.[0]);
    expect(new Set(models.filter(Boolean))).toEqual(new Set(["Net (large)", "Net (small)"]));
  });

  test("a wrong command line is exit code 2", async () => {
    const file = example("simplenn.nn.ts");
    for (const args of [
      ["train"],
      ["train", "missing.nn.ts"],
      ["train", file, "--epochs", "0"],
      ["train", file, "--epochs", "many"],
      ["train", file, "--device", "tpu"],
      ["train", file, "--nonsense"],
      ["print", `${file}#Nobody`],
      ["predict", file, "--input", "missing.csv"],
      ["conjure"],
    ]) {
      const { code, stderr } = await workspace.run(args);
      expect([args.join(" "), code]).toEqual([args.join(" "), 2]);
      expect(stderr).not.toBe("");
    }
    expect((await workspace.run(["train", "missing.nn.ts"])).stderr).toContain(
      "There is no file missing.nn.ts.",
    );
  });

  test.each<[args: string[], message: string]>([
    [["train", "circle.nn.ts"], "There is no file circle.nn.ts."],
    [["train", "net.nn.ts", "--out", ""], "--out needs the name of a folder."],
    [["train", "net.nn.ts", "--workers", "100000"], "Must be at most 64."],
    [["train", "net.nn.ts", "--set", "__proto__=3"], "Not of the form name=value."],
    [["runs", "nowhere"], "There is no folder nowhere."],
    [["runs", "net.nn.ts"], "net.nn.ts is not a folder."],
    [["mcp", "nowhere"], "There is no folder nowhere."],
    [["import", "nowhere"], "There is no file or folder nowhere."],
  ])("says what is wrong with %j, in words", async (args, message) => {
    workspace.write("net.nn.ts", experimentFile());
    if (process.platform !== "win32") fs.symlinkSync("circle.nn.ts", workspace.file("circle.nn.ts"));
    const { code, stderr } = await workspace.run(args);
    expect(stderr).toContain(message);
    expect(code).toBe(2);
    expect(workspace.runs()).toEqual([]);
  });

  test("names no weights that have been deleted", async () => {
    const remove = `{ onEpochEnd: ({ epoch }) => { if (epoch === 2) rmSync(".layerwise", { recursive: true }); } }`;
    const file = experimentFile({ epochs: "4", callbacks: remove }, `import { rmSync } from "node:fs";`);
    workspace.write("net.nn.ts", file);
    const { code, stderr } = await workspace.run(["train", "net.nn.ts", "--no-progress"]);
    expect(stderr).toContain("the folder is gone");
    expect([code, stderr.includes("Newest weights")]).toEqual([1, false]);
  });

  test.skipIf(process.platform !== "linux")(
    "trains into no folder that the system refuses to make",
    async () => {
      workspace.write("net.nn.ts", experimentFile());
      const { code, stderr } = await workspace.run(["train", "net.nn.ts", "--out", "/proc/layerwise/run"]);
      expect(stderr).toContain("The run directory /proc/layerwise/run can't be written");
      expect(code).toBe(1);
    },
  );

  test("help has examples, and the exit codes", async () => {
    for (const name of ["train", "evaluate", "lr-find", "summary", "print", "run", "runs"]) {
      const { code, stdout } = await workspace.run([name, "--help"]);
      expect(code).toBe(0);
      expect(stdout).toContain(`Examples:\n  layerwise ${name}`);
    }
    expect((await workspace.run(["--help"])).stdout).toMatch(/Exit codes: 0 .*1 .*2 .*130/);
  });
});
