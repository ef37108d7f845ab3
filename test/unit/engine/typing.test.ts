import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { symbolicSize } from "../../../extension/engine/preview/callSites.ts";
import { inspect } from "../../../extension/engine/preview/inspect.ts";
import type { CallReport, FileReport } from "../../../extension/protocol/preview.ts";

const examples = fileURLToPath(new URL("../../../media/examples", import.meta.url));
const file = path.join(examples, "net.nn.ts");

interface Parts {
  members: string;
  forward: string;
  data?: string;
  loss?: string;
  rest?: string;
}

const source = ({ members, forward, data, loss, rest }: Parts): string =>
  `import { torch, nn, optim, data, experiment, type Tensor } from "layerwise";
const F = nn.functional;
class Net extends nn.Module {
${members}
  forward(x: Tensor): Tensor {
${forward}
  }
}
export default experiment({
  model: () => new Net(),
  data: () => new data.TensorDataset(${data ?? "torch.randn(32, 6), torch.randint(0, 3, [32])"}),
  loss: new nn.${loss ?? "CrossEntropyLoss"}(),
  optimizer: (parameters) => new optim.SGD(parameters, { lr: 0.1 }),
  batchSize: 8,
  epochs: 1,
  ${rest ?? ""}
});
`;

const look = (text: string): Promise<FileReport> => inspect({ file, text, calls: true });

/** Output shapes of calls, with the callee's name in the text. */
function outputs(text: string, calls: readonly CallReport[]): string[] {
  return calls.flatMap(({ position, outputs: types }) => {
    if (position === undefined) return [];
    const callee = text.split("\n")[position.line - 1]!.slice(position.column - 1);
    const name = /^[\w$]+/.exec(callee)?.[0] ?? callee;
    return `${name} ${types.map(({ shape }) => `[${shape.join(", ")}]`).join(" ")}`;
  });
}

async function shapes(members: string, forward: string, data?: string): Promise<string[]> {
  const text = source({ members, forward, ...(data === undefined ? {} : { data }) });
  const report = await look(text);
  expect(report.errors).toEqual([]);
  expect(report.models[0]!.error).toBeUndefined();
  return outputs(text, report.models[0]!.calls!);
}

describe("shapes of calls", () => {
  test("modules in modules, functions and methods, each at its own name, with the batch as N", async () => {
    expect(
      await shapes(
        "  a = new nn.Linear(6, 4);\n  b = new nn.Linear(4, 3);\n  relu = new nn.ReLU();",
        "    x = this.relu(this.a(x));\n    x = F.relu(x).reshape(-1, 2).view(x.shape[0]!, 4);\n    return this.b(x);",
      ),
    ).toEqual(["a [N, 4]", "relu [N, 4]", "relu [N, 4]", "reshape [2N, 2]", "view [N, 4]", "b [N, 3]"]);
  });

  test("several results", async () => {
    expect(
      await shapes(
        "  lstm = new nn.LSTM(2, 5, { batchFirst: true });\n  fc = new nn.Linear(5, 3);",
        "    const [y] = this.lstm(x.reshape(-1, 3, 2));\n    const [p, q] = y.select(1, -1).chunk(5, 1);\n    return this.fc(torch.cat([p!, q!, p!, q!, p!], 1));",
      ),
    ).toEqual([
      "reshape [N, 3, 2]",
      "lstm [N, 3, 5] [1, N, 5] [1, N, 5]",
      "select [N, 5]",
      "chunk [N, 1] [N, 1] [N, 1] [N, 1] [N, 1]",
      "cat [N, 5]",
      "fc [N, 3]",
    ]);
  });

  test("a loop's calls, each shape once; a layer in a Sequential has a path and no place", async () => {
    const text = source({
      members:
        "  layers = new nn.ModuleList([new nn.Linear(6, 4), new nn.Linear(4, 4), new nn.Linear(4, 4)]);\n  head = new nn.Sequential(new nn.ReLU(), new nn.Linear(4, 3));",
      forward: "    for (const layer of this.layers) x = (layer as nn.Linear)(x);\n    return this.head(x);",
    });
    const { calls } = (await look(text)).models[0]!;
    expect(calls!.map(({ path: name, position }) => [name, position?.line])).toEqual([
      ["", undefined],
      ["layers.0", 7],
      ["layers.1", 7],
      ["layers.2", 7],
      ["head", 8],
      ["head.0", undefined],
      ["head.1", undefined],
      ["", undefined],
    ]);
  });

  test("a size that the code fixes is a number", async () => {
    expect(
      await shapes("  a = new nn.Linear(6, 3);", "    x = this.a(x);\n    return x.narrow(0, 0, 8);"),
    ).toEqual(["a [N, 3]", "narrow [8, 3]"]);
    expect([
      symbolicSize(8, 8, 9, 9),
      symbolicSize(16, 8, 18, 9),
      symbolicSize(7, 8, 8, 9),
      symbolicSize(9, 8, 10, 9),
      symbolicSize(4, 8, 4, 9),
      symbolicSize(5, 8, 4, 9),
    ]).toEqual(["N", "2N", "N-1", "N+1", 4, 5]);
  });

  test("only when they are asked for", async () => {
    const report = await inspect({
      file,
      text: source({ members: "  a = new nn.Linear(6, 3);", forward: "    return this.a(x);" }),
    });
    expect(report.warnings).toBeUndefined();
    expect(report.models[0]!.calls).toBeUndefined();
  });
});

test.each([
  ["Linear", "new nn.Linear(5, 3)", "x", "in_features", 6],
  ["Conv1d", "new nn.Conv1d(2, 3, 1)", "x.reshape(-1, 3, 2)", "in_channels", 3],
  ["Conv2d", "new nn.Conv2d(1, 3, 1)", "x.reshape(-1, 3, 2, 1)", "in_channels", 3],
  ["Conv2d", "new nn.Conv2d(4, 4, 1, { groups: 4 })", "x.reshape(-1, 3, 2, 1)", undefined, 0],
  ["BatchNorm1d", "new nn.BatchNorm1d(4)", "x", "num_features", 6],
  ["BatchNorm2d", "new nn.BatchNorm2d(4)", "x.reshape(-1, 3, 2, 1)", "num_features", 3],
  ["LSTM", "new nn.LSTM(4, 3)", "x", "input_size", 6],
])("a layer of the wrong size: %s, %s", async (className, made, input, option, value) => {
  const text = source({
    members: `  layer = ${made};`,
    forward: `    const y = this.layer(${input}) as Tensor;\n    return y;`,
  });
  const { error, calls } = (await look(text)).models[0]!;
  expect(error).toMatchObject({ module: "layer", position: { line: 6, column: 20, endColumn: 25 } });
  expect(error!.layer).toMatchObject({ className, position: { line: 4, column: 11 } });
  expect(error!.layer!.fix).toEqual(option === undefined ? undefined : { option, argument: 0, value });
  // Calls before the error have their shapes.
  if (input !== "x") expect(outputs(text, calls!)[0]).toMatch(/^reshape \[N, 3, 2/);
});

test.each([
  ["Linear(6, 3)", "torch.randint(0, 3, [32, 6])", "float32"],
  ["Conv1d(3, 3, 1)", "torch.randint(0, 3, [32, 3, 6])", "float32"],
  ["LSTM(6, 3)", "torch.randint(0, 3, [32, 3, 6])", "float32"],
  ["Embedding(6, 3)", "torch.randn(32, 6)", "int64"],
])("a layer of another dtype: %s of %s", async (made, input, cast) => {
  const text = source({
    members: `  layer = new nn.${made};`,
    forward: "    return this.layer(x) as Tensor;",
    data: `${input}, torch.randint(0, 3, [32])`,
  });
  const { error } = (await look(text)).models[0]!;
  expect(error).toMatchObject({ code: "dtype", position: { line: 6, column: 17 }, layer: { cast } });
  const mended = text.replace("layer(x)", `layer(x.to("${cast}"))`);
  expect((await look(mended)).models[0]!.error?.code).not.toBe("dtype");
});

describe("warnings", () => {
  const warnings = async (parts: Partial<Parts>): Promise<(string | number)[][]> => {
    const text = source({
      members: "  a = new nn.Linear(6, 3);",
      forward: "    return this.a(x);",
      ...parts,
    });
    const report = await look(text);
    expect(report.errors).toEqual([]);
    return report
      .warnings!.filter(({ code }) => code !== "noValidation")
      .map(({ code, position }) => [code, text.split("\n")[position.line - 1]!.slice(position.column - 1)]);
  };
  const step = (body: string): string =>
    `trainStep: ({ model, batch: [x, y], loss, optimizer }) => {\n${body}\n  },`;

  test("none for what is right, the examples among it", async () => {
    expect(await warnings({})).toEqual([]);
    // The tutorial is a program, whose loop is its own.
    const names = fs.readdirSync(examples).filter((one) => /(?<!tutorial)\.nn\.ts$/.test(one));
    for (const name of names) {
      const text = fs.readFileSync(path.join(examples, name), "utf8");
      const report = await inspect({ file: path.join(examples, name), text, calls: true });
      const found = report.warnings ?? [];
      expect(found.filter(({ code }) => code !== "noValidation")).toEqual([]);
    }
  });

  test("a layer that nothing calls; not one that a branch may call, or whose weight is used", async () => {
    expect(await warnings({ members: "  a = new nn.Linear(6, 3);\n  b = new nn.Linear(2, 2);" })).toEqual([
      ["unusedLayer", "new nn.Linear(2, 2);"],
    ]);
    expect(
      await warnings({
        members: "  a = new nn.Linear(6, 3);\n  b = new nn.Linear(3, 3);",
        forward: "    if (x.shape[0]! > 1e6) x = this.b(x);\n    return this.a(x);",
      }),
    ).toEqual([]);
    expect(
      await warnings({
        members: "  b = new nn.Linear(6, 3);",
        forward: "    return F.linear(x, this.b.weight);",
      }),
    ).toEqual([]);
    expect(
      await warnings({
        members: "  a = new nn.TransformerEncoderLayer(6, 2);",
        forward: "    return this.a(x).narrow(1, 0, 3);",
      }),
    ).toEqual([]);
  });

  test("softmax or sigmoid before a loss that applies it", async () => {
    const forward = "    return F.softmax(this.a(x), 1);";
    expect(await warnings({ forward })).toEqual([["softmaxBeforeLoss", "softmax(this.a(x), 1);"]]);
    expect(await warnings({ forward, loss: "NLLLoss" })).toEqual([
      ["softmaxBeforeLoss", "softmax(this.a(x), 1);"],
    ]);
    expect(await warnings({ forward: "    return F.logSoftmax(this.a(x), 1);", loss: "NLLLoss" })).toEqual(
      [],
    );
    const binary = {
      forward: "    return this.a(x).sigmoid();",
      data: "torch.randn(32, 6), torch.rand(32, 3)",
    };
    expect(await warnings({ ...binary, loss: "BCEWithLogitsLoss" })).toEqual([
      ["softmaxBeforeLoss", "sigmoid();"],
    ]);
    expect(await warnings({ ...binary, loss: "BCELoss" })).toEqual([]);
  });

  test("a target that is broadcast", async () => {
    expect(
      await warnings({
        members: "  a = new nn.Linear(6, 1);",
        loss: "MSELoss",
        data: "torch.randn(32, 6), torch.randn(32)",
      }),
    ).toMatchObject([["targetSize", expect.stringContaining("experiment({")]]);
  });

  test("a training step that forgets the gradients", async () => {
    const forgets =
      "    const value = loss(model(x!), y!);\n    value.backward();\n    optimizer.step();\n    return value.item();";
    expect(await warnings({ rest: step(forgets) })).toEqual([["zeroGrad", "step();"]]);
    expect(await warnings({ rest: step(`    optimizer.zeroGrad();\n${forgets}`) })).toEqual([]);
    expect(
      await warnings({ rest: step(forgets.replace("return", "optimizer.zeroGrad();\n    return")) }),
    ).toEqual([]);
    expect(await warnings({ rest: step(forgets.replace("value.backward();", "")) })).toEqual([
      ["noBackward", "step();"],
    ]);
  });
});
