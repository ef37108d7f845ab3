// A class that several experiments build: each export is shown as its own model.
import { expect, test } from "vitest";
import { selectModels } from "../../../extension/cli/inspectModels.ts";
import { experimentsOf } from "../../../extension/editor/language/experiments.ts";
import { lensesOf } from "../../../extension/editor/language/lensModel.ts";
import { scanSource } from "../../../extension/source/sourceScan.ts";
import { factsOf, outputLabel, parameterLabel } from "../../../extension/editor/language/previewFacts.ts";
import { inspect } from "../../../extension/engine/preview/inspect.ts";
import { findModel, modelTitle } from "../../../extension/protocol/modelForms.ts";
import type { FileReport } from "../../../extension/protocol/preview.ts";
import { DEFAULTS } from "../../../extension/nn/summary/statistics.ts";

const NET = `import { torch, nn, optim, data, experiment, type Tensor } from "layerwise";
export class Net extends nn.Module {
  fc: nn.Linear;
  out: nn.Linear;
  constructor(hidden: number, frozen = false) {
    super();
    this.fc = new nn.Linear(6, hidden);
    this.out = new nn.Linear(hidden, 3);
    if (frozen) this.fc.requiresGrad_(false);
  }
  forward(x: Tensor): Tensor {
    return this.out(this.fc(x));
  }
}
const make = (model: () => Net, features = 6) =>
  experiment({
    model,
    data: () => new data.TensorDataset(torch.randn(32, features), torch.randint(0, 3, [32])),
    loss: new nn.CrossEntropyLoss(),
    optimizer: (parameters) => new optim.SGD(parameters, { lr: 0.1 }),
    batchSize: 8,
    epochs: 1,
  });
`;

const look = (experiments: string): Promise<FileReport> =>
  inspect({ file: "/forms.nn.ts", text: NET + experiments, calls: true, summary: DEFAULTS });

const options = NET.slice(NET.indexOf("    data: ()"), NET.indexOf("  });\n")).replaceAll("features", "6");
const SMALL_AND_LARGE = `export const small = experiment({ model: () => new Net(4),
${options}});
export const large = experiment({ model: () => new Net(40),
${options}});
`;

test("each export has its own sizes, text, table and diagram", async () => {
  const report = await look(SMALL_AND_LARGE);
  expect(report.models.map(modelTitle)).toEqual(["Net (large)", "Net (small)"]);
  const [small, large] = [
    selectModels(report, { file: "", exportName: "small" }),
    selectModels(report, { file: "", exportName: "large" }),
  ];
  expect(small.map(({ parameters }) => parameters.total)).toEqual([6 * 4 + 4 + 4 * 3 + 3]);
  expect(large.map(({ parameters }) => parameters.total)).toEqual([6 * 40 + 40 + 40 * 3 + 3]);
  expect(large[0]!.text).toContain("out_features=40");
  expect(large[0]!.summary).toContain("Total params: 403");
  expect(large[0]!.rows.find(({ path }) => path === "fc")!.outputShape).toBe("[8, 40]");
  expect(large[0]!.calls!.map(({ path }) => path)).toEqual(small[0]!.calls!.map(({ path }) => path));
  expect(selectModels(report, { file: "", exportName: "Net" })).toHaveLength(2);
});

test("frozen parameters are told of the model, of a layer and of each weight", async () => {
  const { models } = await look("export default make(() => new Net(4, true));\n");
  const [{ parameters, rows, summary, text }] = models as [(typeof models)[0]];
  expect(parameters).toEqual({ total: 43, trainable: 15 });
  const frozen = rows.map(({ path, parameters: all, trainable }) => [path, all - trainable]);
  expect(frozen).toEqual([
    ["", 28],
    ["fc", 28],
    ["out", 0],
  ]);
  expect(rows[1]!.weights!.map(({ frozen: one }) => one)).toEqual([true, true]);
  expect(rows[2]!.weights!.map(({ frozen: one }) => one)).toEqual([undefined, undefined]);
  expect(summary).toMatch(/Linear: 1-1 .*\(28\)$/m);
  expect(summary).toContain("Non-trainable params: 28");
  expect(text).not.toContain("frozen");
});

test("exports that build the same model share a report", async () => {
  const report = await look(
    "export const a = make(() => new Net(4));\nexport const b = make(() => new Net(4));\n",
  );
  expect(report.models.map(({ name, form, experiments }) => ({ name, form, experiments }))).toEqual([
    { name: "Net", form: undefined, experiments: ["a", "b"] },
  ]);
});

test("an export whose forward fails has its own error, and leaves the others alone", async () => {
  const report = await look(
    "export const good = make(() => new Net(4));\nexport const bad = make(() => new Net(4), 7);\n",
  );
  expect(report.models.map(({ experiments, error }) => [experiments[0], error?.message])).toEqual([
    ["bad", expect.stringContaining("mat1 and mat2 shapes cannot be multiplied (8x7 and 6x4)")],
    ["good", undefined],
  ]);
});

test("a model is found by its title, its export or its class, also when its forms have changed", async () => {
  const { models } = await look(SMALL_AND_LARGE);
  const found = (wanted: string): string | undefined => findModel(models, wanted)?.form;
  expect(["Net (large)", "large", "Net", "Net (gone)", "Other"].map(found)).toEqual([
    "large",
    "large",
    "large",
    "large",
    undefined,
  ]);
});

test("the class's lens has the range of its sizes, each experiment's lens its own", async () => {
  const report = await look(SMALL_AND_LARGE);
  const scan = scanSource(NET + SMALL_AND_LARGE);
  const lenses = lensesOf(scan, { trusted: true, report, lastCounts: new Map() });
  expect(lenses.flatMap(({ action }) => (action.kind === "parameters" ? action : []))).toMatchObject([
    { model: "Net", count: { total: 43 }, most: 403 },
    { model: "Net (small)", count: { total: 43 } },
    { model: "Net (large)", count: { total: 403 } },
  ]);
  expect(lenses.flatMap(({ action }) => (action.kind === "preview" ? action.model : []))).toEqual([
    "Net",
    "Net (small)",
    "Net (large)",
  ]);
  expect(experimentsOf("Net (large)", scan, report)).toEqual(["large"]);
  expect(experimentsOf("Net", scan, report).toSorted()).toEqual(["large", "small"]);
});

test("a hint tells what the forms have in common", async () => {
  const text = NET + SMALL_AND_LARGE;
  const facts = factsOf(await look(SMALL_AND_LARGE), text);
  const at = (code: string) => facts.filter(({ start }) => start === text.indexOf(code));
  const calls = at("fc(x)");
  expect(calls).toHaveLength(2);
  expect(outputLabel(calls.flatMap((fact) => fact.calls))).toBe("[N, …]");
  expect(parameterLabel(at("new nn.Linear(6").flatMap(({ rows }) => rows))).toBe(
    "308 parameters in 2 layers",
  );
});
