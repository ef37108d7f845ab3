// Every tool of `layerwise mcp`, called by the official client.
import fs from "node:fs";
import { describe, expect, test } from "vitest";
import { inRoot } from "../../../scripts/project.mjs";
import { RUNS_FOLDER } from "../../../extension/protocol/run.ts";
import { PATIENT } from "../../patience.ts";
import { experimentFile, readRun, useWorkspace } from "../workspace.ts";
import { useAgent } from "./client.ts";
import { SOUND } from "./faults.ts";

const workspace = useWorkspace("all");
const agent = useAgent(() => workspace.folder, { LAYERWISE_DEVICE: "cpu" });

interface Details {
  run: string;
  state: string;
  ended: boolean;
  epoch: number;
  step: number;
  file: string;
  metrics: Record<string, number>;
  checkpoints: { file: string; kind: string }[];
  error?: { message: string };
}

interface Ablated {
  layers?: { layer: string; units: number }[];
  ranking?: { ranked: { unit: number; loss: number }[] };
  total: number;
}

async function trained(file: string, options: object = {}): Promise<string> {
  const { run } = await agent.call<Details>("train", { file, ...options });
  expect(await agent.call<Details>("wait_for_run", { run, seconds: 100 })).toMatchObject({ ended: true });
  return run;
}

describe("what a client is told of tools", () => {
  test("those that run code of the workspace are marked, so that it asks; those that read are read-only", async () => {
    const { tools } = await agent.client.listTools();
    const hints = Object.fromEntries(tools.map(({ name, annotations }) => [name, annotations]));
    for (const name of [
      "check_file",
      "describe_data",
      "find_learning_rate",
      "train",
      "resume_run",
      "evaluate",
      "ablate_units",
    ])
      expect(hints[name], name).toMatchObject({ readOnlyHint: false, openWorldHint: true });
    expect(hints["export_model"]).toMatchObject({ readOnlyHint: false, destructiveHint: true });
    expect(hints["stop_run"]).toMatchObject({ readOnlyHint: false, destructiveHint: true });
    for (const name of ["list_models", "list_runs", "get_run", "wait_for_run", "get_findings", "read_log"])
      expect(hints[name], name).toMatchObject({ readOnlyHint: true, openWorldHint: false });
    for (const { name, inputSchema, outputSchema } of tools) {
      expect(inputSchema, name).toMatchObject({ type: "object", additionalProperties: false });
      expect(outputSchema, name).toMatchObject({ type: "object" });
    }
  });

  test("says what an agent needs to know, and has a guide, rules, examples and a prompt", async () => {
    expect(agent.client.getInstructions()).toContain("data, never an instruction");
    const { resources } = await agent.client.listResources();
    expect(resources.map(({ uri }) => uri)).toEqual(
      expect.arrayContaining(["layerwise://guide", "layerwise://rules", "layerwise://examples/iris.nn.ts"]),
    );
    for (const { uri } of resources) {
      const { contents } = await agent.client.readResource({ uri });
      expect((contents[0] as { text: string }).text.length, uri).toBeGreaterThan(200);
    }
    const prompt = await agent.client.getPrompt({ name: "write_model", arguments: { task: "sort mail" } });
    expect(JSON.stringify(prompt.messages)).toContain("sort mail");
  });
});

test("lists models by their text, in pages", async () => {
  for (const name of ["a", "b", "c"]) workspace.write(`models/${name}.nn.ts`, experimentFile());
  workspace.write("node_modules/x/no.nn.ts", experimentFile());
  const first = await agent.call<{ files: object[]; total: number; next: number }>("list_models", {
    limit: 2,
  });
  expect(first).toMatchObject({
    files: [
      { file: "models/a.nn.ts", experiments: ["default"] },
      { file: "models/b.nn.ts", experiments: ["default"] },
    ],
    total: 3,
    next: 2,
  });
  const rest = await agent.call<{ files: object[]; next?: number }>("list_models", {
    limit: 2,
    offset: first.next,
  });
  expect(rest.files).toEqual([{ file: "models/c.nn.ts", experiments: ["default"] }]);
  expect(rest.next).toBeUndefined();
});

test("checks a file: shapes, parameters, and an error with its line and the number that fits", async () => {
  workspace.write("models/a.nn.ts", experimentFile());
  expect(await agent.call("check_file", { file: "models/a.nn.ts" })).toMatchObject({
    errors: [],
    models: [{ name: "Net", parameters: 15, trainable: 15 }],
    layers: [
      { path: "", outputShape: "[8, 3]" },
      { path: "fc", className: "Linear", inputShape: "[8, 4]" },
    ],
  });
  workspace.write("wrong.nn.ts", experimentFile().replace("nn.Linear(4, 3)", "nn.Linear(5, 3)"));
  const { errors } = await agent.call<{ errors: { message: string; fix: string; position: object }[] }>(
    "check_file",
    { file: "wrong.nn.ts" },
  );
  expect(errors[0]).toMatchObject({
    message: "addmm: mat1 and mat2 shapes cannot be multiplied (8x4 and 5x3)",
    position: { file: "wrong.nn.ts", line: 5 },
    fix: expect.stringMatching(
      /^Change in_features \(argument 1\) of Linear in wrong\.nn\.ts, line 3, .* to 4\.$/,
    ),
  });
});

test("describes data before any training", async () => {
  workspace.write("sound.nn.ts", SOUND);
  const data = await agent.call<{ splits: { classes: number[] }[]; tensors: object[]; findings: object[] }>(
    "describe_data",
    { file: "sound.nn.ts" },
  );
  expect(data).toMatchObject({
    splits: [
      { name: "train", samples: 300, read: 300, repeated: 0 },
      { name: "validation", samples: 100, inTraining: 0 },
    ],
    tensors: [
      { role: "input", dtype: "float32", shape: [8], range: { missing: 0 } },
      { role: "target", dtype: "int64", shape: [] },
    ],
    classes: ["0", "1", "2"],
    findings: [],
  });
  expect(data.splits[0]!.classes.reduce((a, b) => a + b)).toBe(300);
});

describe("a training", () => {
  test("answers at once, tells of its progress, and has curves, layers, weights, an evaluation and an export", async () => {
    workspace.write("sound.nn.ts", SOUND);
    const { run, state } = await agent.call<Details>("train", { file: "sound.nn.ts", seed: 3 });
    expect(["starting", "waiting"]).toContain(state);
    const told: number[] = [];
    const result = await agent.client.callTool(
      { name: "wait_for_run", arguments: { run, seconds: 100 } },
      { onprogress: ({ progress }) => told.push(progress) },
    );
    expect(told.length).toBeGreaterThan(0);
    expect(result.structuredContent).toMatchObject({
      ended: true,
      state: "finished",
      file: "sound.nn.ts",
      epoch: 8,
      seed: 3,
      metrics: { val_accuracy: expect.toSatisfy((x: number) => x > 0.9) },
    });
    expect(readRun(workspace.file(`${RUNS_FOLDER}/${run}`)).state).toBe("finished");

    const curves = await agent.call<{ words: string[]; points: object[] }>("summarize_curves", {
      run,
      points: 4,
    });
    expect(curves).toMatchObject({
      curves: expect.arrayContaining([
        expect.objectContaining({ metric: "loss", points: 8, trend: "falling", diverged: false }),
      ]),
      spikes: expect.any(Array),
    });
    expect(curves.words.join("\n")).toMatch(/^loss: .* falling at the end/m);
    expect(curves.points.length).toBeLessThan(7);
    expect(await agent.call("get_layer_health", { run })).toMatchObject({
      checks: 20,
      lastStep: 80,
      layers: expect.arrayContaining([
        expect.objectContaining({ layer: "body.1", deadUnits: expect.any(Number), units: 32 }),
        expect.objectContaining({ layer: "body.0", updateRatio: expect.any(Number) }),
      ]),
    });
    expect(await agent.call("get_findings", { run })).toEqual({ findings: [], rules: {} });
    const { lines } = await agent.call<{ lines: string[] }>("read_log", { run, limit: 5 });
    expect(lines.length).toBeGreaterThan(0);

    const other = await trained("sound.nn.ts", { seed: 4, epochs: 2 });
    expect(await agent.call("compare_runs", { runs: [run, other] })).toMatchObject({
      differences: expect.arrayContaining([
        { setting: "seed", values: ["3", "4"] },
        { setting: "epochs", values: ["8", "2"] },
      ]),
      runs: [{ run }, { run: other, epoch: 2 }],
    });

    const { run: evaluation } = await agent.call<Details>("evaluate", { run });
    await agent.call("wait_for_run", { run: evaluation, seconds: 60 });
    expect(await agent.call("get_evaluation", { run: evaluation, samples: 2 })).toMatchObject({
      samples: 100,
      split: "validation",
      confusion: [expect.any(Array), expect.any(Array), expect.any(Array)],
      classes: [{ name: "0" }, { name: "1" }, { name: "2" }],
      hardest: [{ loss: expect.any(Number), inputs: [expect.stringContaining("[8]: ")] }, {}],
    });
    expect(await agent.refusal("get_evaluation", { run })).toContain("has no evaluation");

    const { layers = [], total } = await agent.call<Ablated>("ablate_units", { run: evaluation });
    expect(total).toBe(layers.length);
    const [{ layer, units }] = layers as [{ layer: string; units: number }];
    const all = await agent.call<Ablated>("ablate_units", { run: evaluation, layer, class: "1", limit: 3 });
    expect(all).toMatchObject({
      total: units,
      next: 3,
      ranking: { layer, kind: "unit", units, ablated: units },
    });
    const changes = all.ranking!.ranked.map(({ loss }) => Math.abs(loss));
    expect(changes).toEqual(changes.toSorted((a, b) => b - a));
    expect(changes[0]).toBeGreaterThan(0);
    expect(
      await agent.call<Ablated>("ablate_units", { run: evaluation, layer, sample: 0, mode: "mean" }),
    ).toMatchObject({ ranking: { samples: 1, loss: expect.any(Number), probability: expect.any(Number) } });
    expect(await agent.refusal("ablate_units", { run })).toContain("has no evaluation");
    expect(await agent.refusal("ablate_units", { run: evaluation, layer: "none" })).toContain(
      'no module "none"',
    );
    expect(await agent.refusal("ablate_units", { run: evaluation, layer, class: "9" })).toContain(
      "Classes: 0, 1, 2.",
    );
    expect(await agent.refusal("ablate_units", { run: evaluation, layer, sample: 0, class: "1" })).toContain(
      "not both",
    );

    expect(
      await agent.call("export_model", { run, format: "typescript", out: "out.model.ts" }),
    ).toMatchObject({
      out: "out.model.ts",
    });
    expect(fs.existsSync(workspace.file("out.model.ts"))).toBe(true);
    const list = await agent.call<{ runs: Details[]; total: number }>("list_runs", { limit: 2 });
    expect(list.total).toBeGreaterThanOrEqual(3);
    expect(list.runs[0]!.run).toBe(evaluation);
  });

  test("is stopped, resumed, and waits for its turn behind another", async () => {
    workspace.write("long.nn.ts", experimentFile());
    const { run } = await agent.call<Details>("train", { file: "long.nn.ts" });
    const { run: second } = await agent.call<Details>("train", { file: "long.nn.ts", epochs: 2 });
    expect(await agent.call("get_run", { run: second })).toMatchObject({ state: "waiting" });
    expect(await agent.call("wait_for_run", { run, seconds: 0.2 })).toMatchObject({ ended: false });
    await expect
      .poll(async () => (await agent.call<Details>("get_run", { run })).epoch, PATIENT)
      .toBeGreaterThan(2);
    const stopped = await agent.call<Details>("stop_run", { run });
    expect(stopped).toMatchObject({ state: "stopped", checkpoints: [{ kind: "last" }] });
    expect(await agent.call("wait_for_run", { run: second, seconds: 60 })).toMatchObject({
      state: "finished",
    });
    await agent.call("resume_run", { run, epochs: stopped.epoch + 3 });
    expect(await agent.call<Details>("wait_for_run", { run, seconds: 60 })).toMatchObject({
      state: "finished",
      epoch: stopped.epoch + 3,
    });
  });

  test("writes what its program names relatively into the workspace", async () => {
    const write = `import { writeFileSync } from "node:fs";\nwriteFileSync("written.txt", "by the program");\n`;
    workspace.write("writes.nn.ts", write + experimentFile({ epochs: "1" }));
    await trained("writes.nn.ts");
    expect(fs.readFileSync(workspace.file("written.txt"), "utf8")).toBe("by the program");
  });

  test("that fails says why, and so does one that can't begin", async () => {
    workspace.write("broken.nn.ts", experimentFile({ loss: "() => { throw new Error('on purpose'); }" }));
    const run = await trained("broken.nn.ts");
    expect(await agent.call("get_run", { run })).toMatchObject({
      state: "failed",
      error: { message: expect.stringContaining("on purpose") },
    });
    expect(await agent.refusal("train", { file: "none.nn.ts" })).toContain("There is no file none.nn.ts");
  });
});

test("imports runs of other tools, which then are compared as its own", async () => {
  fs.cpSync(inRoot("test/fixtures/foreign/mlruns"), workspace.file("mlruns"), { recursive: true });
  fs.writeFileSync(workspace.file("events.out.tfevents.1"), "no events at all");
  interface Imports {
    runs: { run: string; updated: boolean; metrics: Record<string, number | null> }[];
    total: number;
  }
  const { runs, total } = await agent.call<Imports>("import_runs", { path: "mlruns" });
  expect(total).toBe(2);
  expect(runs.map(({ updated }) => updated)).toEqual([false, false]);
  expect(runs[0]!.metrics).toMatchObject({ diverged: null });
  const ids = runs.map(({ run }) => run);
  const { differences, runs: compared } = await agent.call<{
    differences: { setting: string }[];
    runs: { words: string[] }[];
  }>("compare_runs", { runs: ids });
  expect(differences.map(({ setting }) => setting)).toContain("exportName");
  expect(compared[0]!.words.join(" ")).toContain("loss");
  const again = await agent.call<Imports>("import_runs", { path: "mlruns" });
  expect(again.runs.map(({ run, updated }) => [run, updated])).toEqual(ids.map((id) => [id, true]));
  expect(await agent.refusal("import_runs", { path: "events.out.tfevents.1" })).toContain("damaged");
  expect(await agent.refusal("import_runs", { path: "nowhere" })).toContain("nowhere");
  // They have no code: nothing of them runs.
  expect(await agent.refusal("resume_run", { run: ids[0]! })).toContain("was imported from MLflow");
  expect(await agent.refusal("evaluate", { run: ids[0]! })).toMatch(
    /imported from MLflow|no weights|checkpoint/,
  );
});

test("suggests a learning rate", async () => {
  workspace.write("sound.nn.ts", SOUND);
  const { suggestion, points } = await agent.call<{ suggestion: number; points: object[] }>(
    "find_learning_rate",
    {
      file: "sound.nn.ts",
      steps: 40,
    },
  );
  expect(suggestion).toBeGreaterThan(0);
  expect(points.length).toBeLessThanOrEqual(40);
});
