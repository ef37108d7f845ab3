// Rules about data and trainings: what they find, and what they must not claim.
import { describe, expect, test } from "vitest";
// Bundled data sets.
import "../../../extension/engine/host/library.ts";
import { summaryOf } from "../../../extension/engine/data/summary.ts";
import { prepare } from "../../../extension/engine/training/prepare.ts";
import {
  data,
  experiment,
  nn,
  optim,
  torch,
  type ExperimentOptions,
  type Tensor,
} from "../../../extension/nn/index.ts";
import type { DataSummary } from "../../../extension/protocol/data/data.ts";
import { defaultStream } from "../../../extension/tensor/random/stream.ts";
import { useEngine } from "../../engines.ts";
import { useFolder } from "../../folders.ts";
import { train, weightsOf } from "./training.ts";

useEngine("cpu");
const folder = useFolder();

const options = (changes: Partial<ExperimentOptions>): ExperimentOptions => ({
  seed: 0,
  model: () => new nn.Linear(4, 3),
  data: () => new data.TensorDataset(torch.randn(200, 4), torch.randint(0, 3, [200])),
  loss: new nn.CrossEntropyLoss(),
  optimizer: (parameters) => new optim.Adam(parameters, { lr: 0.01 }),
  batchSize: 20,
  epochs: 4,
  ...changes,
});

async function describeData(changes: Partial<ExperimentOptions>): Promise<DataSummary> {
  return summaryOf(await prepare(experiment(options(changes)), 0));
}

const kindsOf = ({ findings }: DataSummary): string[] => findings.map(({ kind }) => kind);

const labels = (n: number): Tensor => torch.randint(0, 3, [n]);
const withColumn = (column: Tensor): Tensor =>
  torch.cat([torch.randn(column.size(0), 3), column.unsqueeze(1)], 1);

describe("data", () => {
  test("is described with its own names, and read without a trace in the generator", async () => {
    const prepared = await prepare(experiment(options({ data: () => data.iris(), validation: 0.2 })), 0);
    const before = defaultStream.getState();
    const summary = summaryOf(prepared);
    expect(defaultStream.getState()).toEqual(before);
    expect(summary).toMatchObject({
      splits: [
        { name: "train", samples: 120, read: 120 },
        { name: "validation", samples: 30 },
      ],
      classes: ["setosa", "versicolor", "virginica"],
      findings: [],
    });
    expect(summary.tensors[0]?.columns?.map(({ name }) => name)[0]).toMatch(/sepal/);
  });

  test("counts what is no finite number as missing", async () => {
    const x = torch.ones(60, 4);
    x.select(1, 2).fill_(Number.NaN);
    const { tensors } = await describeData({ data: () => new data.TensorDataset(x, labels(60)) });
    expect(tensors[0]).toMatchObject({ range: { minimum: 1, maximum: 1, std: 0, missing: 60 } });
    expect(tensors[0]?.columns?.[2]?.range).toMatchObject({ missing: 60 });
  });

  test("of a large set, evenly spaced samples are read", async () => {
    const { splits } = await describeData({
      data: () =>
        new data.TensorDataset(
          torch.zeros(50_000, 4),
          torch.arange(0, 50_000).div(25_000).floor().to("int64"),
        ),
    });
    expect(splits[0]).toMatchObject({ samples: 50_000, read: 20_000, classes: [10_000, 10_000] });
  });
});

describe("a leak", () => {
  test("is a column that the class explains, whatever its code", async () => {
    const y = labels(100);
    const code = torch.tensor([7, -1, 2]).to("float32").indexSelect(0, y);
    expect(kindsOf(await describeData({ data: () => new data.TensorDataset(withColumn(code), y) }))).toEqual([
      "labelLeak",
    ]);
  });

  test("is not claimed of few samples, a column that only helps, or a series that hardly changes", async () => {
    const few = labels(40);
    expect(
      kindsOf(await describeData({ data: () => new data.TensorDataset(withColumn(few.to("float32")), few) })),
    ).toEqual([]);
    const y = labels(200);
    const helps = y.to("float32").add(torch.randn(200).mul(0.3));
    expect(kindsOf(await describeData({ data: () => new data.TensorDataset(withColumn(helps), y) }))).toEqual(
      [],
    );
    const series = torch.arange(0, 300).to("float32").mul(0.01).sin();
    const windows = torch.stack(
      Array.from({ length: 4 }, (_, i) => series.narrow(0, i, 290)),
      1,
    );
    const next = series.narrow(0, 4, 290).unsqueeze(1);
    expect(
      kindsOf(
        await describeData({ loss: new nn.MSELoss(), data: () => new data.TensorDataset(windows, next) }),
      ),
    ).toEqual([]);
  });
});

describe("copies of training samples", () => {
  const splits = (copied: number): Partial<ExperimentOptions> => ({
    data: () => {
      const [x, y] = [torch.randn(300, 4), labels(300)];
      const part = (from: number, to: number): data.TensorDataset =>
        new data.TensorDataset(x.narrow(0, from, to - from), y.narrow(0, from, to - from));
      return { train: part(0, 200), validation: part(200 - copied, 300 - copied) };
    },
  });

  test("count once they can move the result beyond its own uncertainty", async () => {
    expect(await describeData(splits(5))).toMatchObject({ findings: [], splits: [{}, { inTraining: 5 }] });
    expect(kindsOf(await describeData(splits(6)))).toEqual(["duplicates"]);
  });

  test("of words are natural where the training set repeats as often", async () => {
    const words = {
      data: () => new data.TensorDataset(torch.randint(0, 3, [300, 4]), labels(300)),
      validation: 0.3,
    };
    expect(kindsOf(await describeData(words))).toEqual([]);
  });
});

describe("imbalance", () => {
  const rare = torch.cat([torch.zeros(190), torch.ones(10)]).to("int64");
  const set = (): data.TensorDataset => new data.TensorDataset(torch.randn(200, 4), rare);

  test("is found where nothing makes up for it", async () => {
    expect(kindsOf(await describeData({ data: set }))).toEqual(["classImbalance"]);
    const weight = torch.tensor([1, 19, 1]);
    expect(kindsOf(await describeData({ data: set, loss: new nn.CrossEntropyLoss({ weight }) }))).toEqual([]);
    const sampler = new data.WeightedRandomSampler(
      Array.from(rare.toTypedArray(), (c) => (c === 1 ? 19 : 1)),
      200,
    );
    const loader = (): data.DataLoader => new data.DataLoader(set(), { batchSize: 20, sampler });
    expect(kindsOf(await describeData({ data: loader, batchSize: undefined } as never))).toEqual([]);
  });

  test("is natural where inputs and targets are words of one vocabulary", async () => {
    const text = torch.cat([torch.arange(0, 30), torch.zeros(270).to("int64")]);
    const next = { data: () => new data.TensorDataset(text.unsqueeze(1), text) };
    expect(kindsOf(await describeData(next))).toEqual([]);
  });
});

describe("a watched training", () => {
  test("has its findings in the log, the curves and findings.jsonl, and other weights than without by not a bit", async () => {
    const big = options({
      model: () =>
        new nn.Sequential(new nn.Linear(4, 8), new nn.Dropout(0.2), new nn.ReLU(), new nn.Linear(8, 3)),
      data: () => new data.TensorDataset(torch.randn(200, 4).mul(500), labels(200)),
      validation: 0.2,
      watch: { logFreq: 3 },
    });
    const watched = await train(experiment(big), 0, { folder });
    const text = expect.stringMatching(/^0 reads inputs with a root mean square of \d+; about 1 is usual\./);
    expect(watched.rows.filter(({ kind }) => kind === "event").map(({ text }) => text)).toContainEqual(text);
    expect(watched.log).toContainEqual(text);
    const alone = await train(experiment({ ...big, watch: false }), 0);
    expect(weightsOf(watched.prepared)).toEqual(weightsOf(alone.prepared));
  });
});
