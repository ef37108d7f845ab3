import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import type { FileReport } from "../../../extension/protocol/preview.ts";
import { examples, experimentFile, useWorkspace } from "../workspace.ts";
import { usePreviews } from "../previews.ts";

const workspace = useWorkspace();
const previews = usePreviews();
const { logged } = previews;

const inspect = (file: string, text?: string, limit?: number): Promise<FileReport> =>
  previews.inspect({ file, ...(text === undefined ? {} : { text }) }, limit);

/** The line of a file that has a text. */
function lineOf(text: string, part: string): number {
  return text.split("\n").findIndex((line) => line.includes(part)) + 1;
}

/** Models that the panels' tests draw. */
const flows = fileURLToPath(new URL("../../fixtures/panels/flows/", import.meta.url));

test("what goes where: both ways around a block, calls of one module apart, ops between modules", async () => {
  const report = await inspect(path.join(flows, "residual.nn.ts"));
  expect(report.errors).toEqual([]);
  const { nodes, edges } = report.models[0]!.flow!;
  const into = (id: string) => edges.filter(({ to }) => to === id).map(({ from }) => from);
  expect(into("stem/0")).toEqual(["~input"]);
  expect(into("blocks/0/conv1")).toEqual(["stem/2"]);
  // Identity computes nothing, and is on the way all the same.
  expect(into("blocks/0/shortcut")).toEqual(["stem/2"]);
  expect(new Set(into("blocks/0/~add"))).toEqual(new Set(["blocks/0/bn2", "blocks/0/shortcut"]));
  expect(into("blocks/0/relu#2")).toEqual(["blocks/0/~add"]);
  expect(into("blocks/1/conv1")).toEqual(["blocks/0/relu#2"]);
  expect(into("~output")).toEqual(["head"]);
  expect(edges.find(({ from }) => from === "blocks/3/relu#2")).toMatchObject({ shape: "[64, 32, 8, 8]" });
  // A list of modules is never called, and is a box around them.
  expect(nodes.find(({ id }) => id === "blocks/0")).toMatchObject({
    kind: "module",
    path: "blocks.0",
    className: "Block",
    parent: "blocks",
  });
  const conv = report.models[0]!.rows.find((row) => row.path === "stem.0");
  expect(conv).toMatchObject({
    weights: [
      { name: "weight", shape: "[16, 1, 3, 3]" },
      { name: "bias", shape: "[16]" },
    ],
    memoryBytes: 4 * (160 + 64 * 16 * 64),
  });
});

test("lazy modules have their sizes after the step, in a table of their usual classes", async () => {
  const file = workspace.write(
    "lazy.nn.ts",
    `import { torch, nn, optim, data, experiment } from "layerwise";
export const lazy = experiment({
  model: () => new nn.Sequential(new nn.LazyConv2d(8, 3), new nn.LazyBatchNorm2d(), new nn.Flatten(), new nn.LazyLinear(10)),
  data: () => new data.TensorDataset(torch.randn(64, 1, 8, 8), torch.randint(0, 10, [64])),
  optimizer: (p) => new optim.Adam(p),
  loss: new nn.CrossEntropyLoss(),
  epochs: 1,
  batchSize: 16,
  validation: 0.25,
});
`,
  );
  const report = await inspect(file);
  expect(report.errors).toEqual([]);
  const rows = report.models[0]!.rows.map(({ path, className, parameters }) => [path, className, parameters]);
  expect(rows).toEqual(
    expect.arrayContaining([
      ["0", "Conv2d", 80],
      ["1", "BatchNorm2d", 16],
      ["3", "Linear", 2890],
    ]),
  );
});

test("an error of a model that an experiment and its class both build is reported once", async () => {
  const text = `import { torch, nn, optim, data, experiment, type Tensor } from "layerwise";
export class Net extends nn.Module {
  fc = new nn.Linear(2, 2);
  // @ts-expect-error
  extra = new nn.Linear;
  forward(x: Tensor): Tensor {
    return this.fc(x);
  }
}
const common = {
  data: () => new data.TensorDataset(torch.randn(8, 2), torch.randn(8, 2)),
  loss: new nn.MSELoss(),
  optimizer: (p) => new optim.SGD(p, { lr: 0.1 }),
  epochs: 1,
};
export const one = experiment({ ...common, model: () => new Net() });
export const two = experiment({ ...common, model: () => new Net() });
`;
  const { errors } = await inspect(workspace.write("twice.nn.ts", text));
  expect(errors).toMatchObject([
    {
      message: "Linear() missing 2 required positional arguments: 'inFeatures' and 'outFeatures'",
      position: { line: lineOf(text, "extra") },
    },
  ]);
});

test("a model of two parts: what one gives the other takes, each drawn once", async () => {
  const file = workspace.write(
    "pair.nn.ts",
    `import { torch, nn, optim, data, experiment, type Tensor } from "layerwise";
class Pair extends nn.Module {
  generator = new nn.Sequential(new nn.Linear(4, 8), new nn.Tanh());
  critic = new nn.Linear(8, 1);
  forward(x: Tensor): Tensor {
    return this.generator(x) as Tensor;
  }
}
export default experiment({
  model: () => new Pair(),
  data: () => new data.TensorDataset(torch.randn(8, 4), torch.randn(8, 8)),
  optimizer: (p) => new optim.SGD(p, { lr: 0.1 }),
  trainStep: ({ model, batch }) => {
    const made = (model as Pair).generator(batch[0] as Tensor) as Tensor;
    const loss = (model as Pair).critic(made).mean();
    (model as Pair).critic(batch[1] as Tensor).mean().backward();
    return { loss };
  },
  epochs: 1,
});
`,
  );
  const report = await inspect(file);
  expect(report.errors).toEqual([]);
  const { nodes, edges } = report.models[0]!.flow!;
  expect(edges).toContainEqual({ from: "generator/1", to: "critic", shape: "[8, 8]" });
  expect(nodes.filter(({ path: name }) => name === "critic").map(({ id }) => id)).toContain("critic");
  expect(nodes.filter(({ className }) => className === "Linear").length).toBe(2);
});

test("models with their layers in the order of calls, shapes, counts and lines", async () => {
  const file = path.join(examples, "digits.nn.ts");
  const text = fs.readFileSync(file, "utf8");
  const report = await inspect(file);
  expect(report.errors).toEqual([]);
  expect(report.experiments).toMatchObject([
    {
      exportName: "default",
      model: "DigitsCNN",
      epochs: 20,
      settings: { batchSize: 32, samples: 1438, validationSamples: 359, optimizer: "Adam, lr 0.002" },
    },
  ]);
  const [model] = report.models;
  expect(model).toMatchObject({
    name: "DigitsCNN",
    experiments: ["default"],
    parameters: { total: 13_706, trainable: 13_706 },
    parameterBytes: 4 * 13_706,
  });
  expect(model!.text).toContain("(conv1): Conv2d(1, 16, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))");
  expect(
    model!.rows.map(({ path: name, outputShape, parameters }) => [name, outputShape, parameters]),
  ).toEqual([
    ["", "[32, 10]", 13_706],
    ["conv1", "[32, 16, 8, 8]", 160],
    ["relu", "[32, 64]", 0],
    ["pool", "[32, 32, 2, 2]", 0],
    ["conv2", "[32, 32, 4, 4]", 4640],
    ["flatten", "[32, 128]", 0],
    ["dropout", "[32, 128]", 0],
    ["fc1", "[32, 64]", 8256],
    ["fc2", "[32, 10]", 650],
  ]);
  const position = (name: string) => model!.rows.find((row) => row.path === name)?.position;
  expect(position("")).toMatchObject({ file, line: lineOf(text, "class DigitsCNN") });
  expect(position("fc1")).toMatchObject({ file, line: lineOf(text, "fc1 = new nn.Linear") });
  // Multiply-adds of a convolution: 32 images of 8x8 by 16 channels of 3x3x1 and a bias.
  expect(model!.rows[1]).toMatchObject({ multiplyAdds: 32 * 64 * 16 * 10, kernelShape: "[3, 3]", calls: 1 });
  expect(model!.rows[2]).toMatchObject({ path: "relu", multiplyAdds: 0, calls: 3 });
  expect(model).toMatchObject({
    multiplyAdds: 2_988_352,
    inputBytes: 4 * 32 * 64,
    forwardBackwardBytes: 412_160,
  });
});

test("nested modules of the user's own, and layers that forward doesn't call", async () => {
  const text = experimentFile(
    { model: "() => new Outer()" },
    `class Inner extends nn.Module {
  first = new nn.Linear(4, 4);
  unused = new nn.Linear(2, 2);
  forward(x: Tensor): Tensor {
    return this.first(x);
  }
}
class Outer extends nn.Module {
  inner: Inner;
  out: nn.Linear;
  constructor() {
    super();
    this.out = new nn.Linear(4, 3);
    this.inner = new Inner();
  }
  forward(x: Tensor): Tensor {
    return this.out(this.inner(x));
  }
}`,
  );
  const file = workspace.write("net.nn.ts", text);
  const report = await inspect(file);
  expect(report.errors).toEqual([]);
  const outer = report.models.find(({ name }) => name === "Outer")!;
  expect(outer.rows.map(({ path: name, depth, outputShape }) => [name, depth, outputShape])).toEqual([
    ["", 0, "[8, 3]"],
    ["inner", 1, "[8, 4]"],
    ["inner.first", 2, "[8, 4]"],
    ["inner.unused", 2, undefined],
    ["out", 1, "[8, 3]"],
  ]);
  expect(outer.rows[1]!.position).toMatchObject({ line: lineOf(text, "new Inner()") });
  // A class that builds without arguments is listed too, as far as it goes without data.
  expect(report.models.find(({ name }) => name === "Net")).toMatchObject({
    parameters: { total: 15 },
    experiments: [],
  });
});

test("unsaved text, and what changes in it", async () => {
  const file = workspace.file("new.nn.ts");
  const total = async (text: string) => (await inspect(file, text)).models[0]?.parameters.total;
  expect(await total(experimentFile())).toBe(15);
  expect(await total(experimentFile().replace("nn.Linear(4, 3)", "nn.Linear(4, 3, { bias: false })"))).toBe(
    12,
  );
  expect((await inspect(file, "export const x = ;")).errors).toMatchObject([
    { code: "syntax", position: { file, line: 1 } },
  ]);
});

test("nothing is computed, allocated or written: a huge model is counted at once, a program is not run", async () => {
  const huge = experimentFile({
    model:
      "() => new nn.Sequential(new nn.Linear(4, 100000), new nn.Linear(100000, 100000), new nn.Linear(100000, 3))",
  });
  const report = await inspect(workspace.file("huge.nn.ts"), huge);
  expect(report.errors).toEqual([]);
  expect(report.models[0]!.parameters.total).toBe(500_000 + 10_000_100_000 + 300_003);
  expect(report.models[0]!.rows.at(-1)!.outputShape).toBe("[8, 3]");

  const program = fs.readFileSync(path.join(examples, "tutorial.nn.ts"), "utf8");
  expect(await inspect(workspace.file("tutorial.nn.ts"), program)).toMatchObject({ models: [], errors: [] });
  const saves =
    'import { torch } from "layerwise"; torch.save({ x: torch.zeros(2) }, "x.safetensors"); console.log("printed");';
  expect((await inspect(workspace.file("saves.nn.ts"), saves)).errors).toEqual([]);
  expect(fs.existsSync("x.safetensors")).toBe(false);
  expect(logged.join("")).not.toContain("printed");
});

test("mistakes are at their lines, and models that built are still listed", async () => {
  const text = experimentFile({
    data: "() => new data.TensorDataset(torch.randn(32, 5), torch.randint(0, 3, [32]))",
  });
  const [model] = (await inspect(workspace.file("shape.nn.ts"), text)).models;
  expect(model).toMatchObject({
    name: "Net",
    parameters: { total: 15 },
    error: {
      code: "shape",
      message: expect.stringContaining("mat1 and mat2 shapes cannot be multiplied (8x5 and 4x3)"),
      module: "fc",
      position: { line: lineOf(text, "this.fc(x)") },
    },
  });
  // A loss that doesn't fit is found where the experiment is defined.
  const loss = experimentFile({
    data: "() => new data.TensorDataset(torch.randn(32, 4), torch.randn(32, 2))",
  });
  expect((await inspect(workspace.file("loss.nn.ts"), loss)).models[0]!.error).toMatchObject({
    position: { line: lineOf(loss, "experiment({") },
  });
  const thrown = experimentFile({ data: '() => {\n    throw new Error("no data");\n  }' });
  expect(await inspect(workspace.file("data.nn.ts"), thrown)).toMatchObject({
    errors: [{ message: "no data", of: "default", position: { line: lineOf(thrown, "no data") } }],
    models: [{ parameters: { total: 15 } }],
  });
});

test("data that is computed with values, and a step of one's own", async () => {
  const text = experimentFile({
    data: `() => {
    const x = torch.randn(32, 4);
    return new data.TensorDataset(x.sub(x.mean().item()), torch.randint(0, 3, [32]));
  }`,
    trainStep: `({ model, batch: [x, y], loss, optimizer }) => {
    optimizer.zeroGrad();
    const value = loss(model(x!.mul(2)), y!);
    value.backward();
    optimizer.step();
    return value.item();
  }`,
  });
  const report = await inspect(workspace.file("net.nn.ts"), text);
  expect(report.errors).toEqual([]);
  expect(report.models[0]!.error).toBeUndefined();
  expect(report.models[0]!.rows[1]).toMatchObject({
    path: "fc",
    inputShape: "[8, 4]",
    outputShape: "[8, 3]",
  });
});

test("what a panel shows first is laid out beside the next preview", async () => {
  const file = path.join(flows, "residual.nn.ts");
  const [model] = (await inspect(file)).models;
  const { flow, rows } = model!;
  const characters = { "": 7 };
  const widths = { title: characters, kind: characters, label: characters };
  const look = { font: "any", widths, opened: [], closed: ["blocks"], unfolded: [] };
  const [layout] = await Promise.all([
    previews.engine.layOut({ flow: flow!, rows, look }, 20_000),
    inspect(file),
  ]);
  const ids = layout!.boxes.map(({ id }) => id);
  expect(ids).toContain("stem/0");
  expect(ids).toContain("blocks");
  expect(ids).not.toContain("blocks/0");
  for (const { id, width } of layout!.boxes)
    if (id === "head") expect(width).toBeGreaterThan(7 * "head".length);
  await previews.engine.dispose();
  expect(await previews.engine.layOut({ flow: flow!, rows, look })).toBeUndefined();
});

test("ordinary files leave nothing behind: one process previews them all", async () => {
  const files = fs.readdirSync(examples).filter((name) => name.endsWith(".nn.ts"));
  expect(files.length).toBeGreaterThan(5);
  for (const name of [...files, ...files]) await inspect(path.join(examples, name));
  await inspect(path.join(flows, "residual.nn.ts"));
  expect(logged.filter((text) => text.includes("new process"))).toEqual([]);
});

test("calls inside vmap have the shapes of one sample", async () => {
  const text = `import { torch, nn, optim, data, experiment, type Tensor } from "layerwise";
class Mapped extends nn.Module {
  layer = new nn.Linear(4, 3);
  forward(x: Tensor): Tensor {
    const one = (v: Tensor): Tensor => {
      const h = this.layer(v);
      return h.exp();
    };
    return torch.func.vmap(one)(x);
  }
}
export default experiment({
  model: () => new Mapped(),
  data: () => new data.TensorDataset(torch.randn(8, 4), torch.randint(0, 3, [8])),
  loss: new nn.CrossEntropyLoss(),
  optimizer: (p) => new optim.SGD(p, { lr: 0.1 }),
  epochs: 1,
});
`;
  const file = workspace.write("mapped.nn.ts", text);
  const report = await previews.inspect({ file, text, calls: true });
  expect(report.errors).toEqual([]);
  const outputs = (part: string): unknown =>
    report.models[0]!.calls!.flatMap(({ position, outputs: [y] }) =>
      position?.line === lineOf(text, part) ? [y!.shape] : [],
    );
  expect(outputs("this.layer(v)")).toEqual([[3]]);
  expect(outputs("h.exp()")).toEqual([[3]]);
});

test("a report names the imported files, also where one of them is missing, broken or endless", async () => {
  const file = workspace.write(
    "importing.nn.ts",
    'import { size } from "./lib/size";\nexport const twice = 2 * size;',
  );
  const size = path.join(path.dirname(file), "lib", "size.ts");
  expect((await inspect(file)).imported).toContain(size);
  workspace.write("lib/size.ts", "export const size = ;");
  expect((await inspect(file)).imported).toEqual([size]);
  workspace.write("lib/size.ts", "export const other = 1;");
  expect((await inspect(file)).imported).toEqual([size]);
  workspace.write("lib/size.ts", "while (true);\nexport const size = 1;");
  expect(await inspect(file, undefined, 3)).toMatchObject({
    errors: [{ code: "timeout" }],
    imported: [size],
  });
  workspace.write("lib/size.ts", "export const size = 1;");
  expect(await inspect(file)).toMatchObject({ errors: [], imported: [size] });
});
