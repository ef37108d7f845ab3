// The data panel's summaries of data sets of any form, of known ones and of hostile ones.
import { describe, expect, test } from "vitest";
import { DataSession, prepareData } from "../../../extension/engine/data/session.ts";
import { readSteps } from "../../../extension/engine/data/splits.ts";
import { prepare } from "../../../extension/engine/training/prepare.ts";
import {
  data,
  experiment,
  nn,
  optim,
  torch,
  transforms,
  type ExperimentOptions,
  type Tensor,
} from "../../../extension/nn/index.ts";
import { useEngine } from "../../engines.ts";

useEngine("cpu");

const options = (changes: Partial<ExperimentOptions>): ExperimentOptions => ({
  seed: 0,
  model: () => new nn.Linear(4, 3),
  data: () => data.iris(),
  loss: new nn.CrossEntropyLoss(),
  optimizer: (parameters) => new optim.Adam(parameters, { lr: 0.01 }),
  batchSize: 20,
  epochs: 4,
  ...changes,
});

async function open(changes: Partial<ExperimentOptions>): Promise<DataSession> {
  return DataSession.of(await prepare(experiment(options(changes)), 0));
}

describe("known data", () => {
  test("the table of iris: classes, ranges by column, and rows with their class", async () => {
    const session = await open({ validation: 0.2 });
    const { summary } = session;
    expect(summary.splits.map(({ name, samples, read }) => [name, samples, read])).toEqual([
      ["train", 120, 120],
      ["validation", 30, 30],
    ]);
    expect(summary.classes).toEqual(["setosa", "versicolor", "virginica"]);
    const counts = summary.splits.map(({ classes }) => classes!);
    expect(counts[0]!.map((n, i) => n + counts[1]![i]!)).toEqual([50, 50, 50]);
    const [input] = summary.tensors;
    expect(input).toMatchObject({ name: "input", dtype: "float32", shape: [4], axis: "column" });
    expect(input?.columns).toHaveLength(4);
    expect(summary.batch).toEqual({
      tensors: [
        { name: "input", role: "input", dtype: "float32", shape: [20, 4] },
        { name: "target", role: "target", dtype: "int64", shape: [20] },
      ],
    });
    const { total, samples } = session.samples({ split: "train", offset: 118, count: 24 });
    expect(total).toBe(120);
    expect(samples.map(({ index }) => index)).toEqual([118, 119]);
    expect(samples[0]?.fields).toMatchObject([
      {
        name: "input",
        view: {
          kind: "numbers",
          names: [expect.stringMatching(/sepal/), expect.anything(), expect.anything(), expect.anything()],
        },
      },
      { name: "target", view: { kind: "class" } },
    ]);
    const setosa = session.samples({ split: "validation", offset: 0, count: 48, actual: 0 });
    expect(setosa.total).toBe(counts[1]![0]);
    expect(setosa.samples.every(({ fields }) => JSON.stringify(fields[1]?.view).includes("setosa"))).toBe(
      true,
    );
  });

  test("digits are pictures with channels; wine's columns have their file's ranges", async () => {
    const digits = await open({ data: () => data.digits(), model: () => new nn.Linear(8, 3) });
    expect(digits.summary.tensors[0]).toMatchObject({
      shape: [1, 8, 8],
      range: { minimum: 0, maximum: 1 },
    });
    expect(digits.summary.splits[0]?.classes).toHaveLength(10);
    const { samples } = digits.samples({ split: "train", offset: 0, count: 2 });
    expect(samples[0]?.fields[0]?.view).toMatchObject({ kind: "image", width: 8, height: 8 });
    const wine = await open({ data: () => data.wine(), model: () => new nn.Linear(13, 3) });
    const alcohol = wine.summary.tensors[0]?.columns?.find(({ name }) => name === "alcohol");
    expect(alcohol?.range).toMatchObject({
      minimum: expect.closeTo(11.03, 4),
      maximum: expect.closeTo(14.83, 4),
    });
    expect(alcohol?.range.mean).toBeCloseTo(13.0006, 3);
  });

  test("images of several channels and series of several features are described by each", async () => {
    const images = torch.stack([torch.zeros(50, 8, 8), torch.ones(50, 8, 8).mul(3)], 1);
    const labels = torch.zeros(50).to("int64");
    const { summary } = await open({ data: () => new data.TensorDataset(images, labels) });
    expect(summary.tensors[0]).toMatchObject({ axis: "channel", shape: [2, 8, 8] });
    expect(summary.tensors[0]?.columns?.map(({ range }) => range.mean)).toEqual([0, 3]);
    const series = torch.stack([torch.zeros(50, 20), torch.ones(50, 20).mul(5)], 2);
    const session = await open({ data: () => new data.TensorDataset(series, labels) });
    expect(session.summary.tensors[0]).toMatchObject({ axis: "feature", shape: [20, 2] });
    expect(session.summary.tensors[0]?.columns?.map(({ range }) => range.maximum)).toEqual([0, 5]);
    const { samples } = session.samples({ split: "train", offset: 0, count: 1 });
    expect(samples[0]?.fields[0]?.view).toMatchObject({ kind: "series", lines: [{ length: 20 }, { 19: 5 }] });
  });

  test("windows of a series are series", async () => {
    const weather = await open({
      data: () => new data.WindowDataset(data.weather().select("temp_max"), { window: 14 }),
      model: () => new nn.Linear(8, 3),
      loss: new nn.MSELoss(),
    });
    expect(weather.summary.tensors[0]).toMatchObject({ shape: [14, 1] });
    expect(weather.summary.classes).toBeUndefined();
    const { samples } = weather.samples({ split: "train", offset: 0, count: 1 });
    expect(samples[0]?.fields[0]?.view).toMatchObject({ kind: "series", lines: [{ length: 14 }] });
  });
});

describe("samples of any form", () => {
  const mapped = (key: (i: number) => unknown): data.Dataset => {
    class Own extends data.Dataset {
      readonly length = 40;
      get(i: number): unknown {
        return key(i);
      }
    }
    return new Own();
  };

  test("objects and maps: values by name, targets by their key, and why a training can't use the batch", async () => {
    for (const form of [
      (i: number) => ({ image: torch.ones(2, 2).mul(i), label: i % 2 }),
      (i: number) =>
        new Map<string, unknown>([
          ["image", torch.ones(2, 2).mul(i)],
          ["label", i % 2],
        ]),
    ]) {
      const { summary } = await open({ data: () => mapped(form) });
      expect(summary.tensors.map(({ name, role, shape }) => [name, role, shape])).toEqual([
        ["image", "input", [2, 2]],
        ["label", "target", []],
      ]);
      expect(summary.splits[0]?.classes).toEqual([20, 20]);
      expect(summary.batch?.error?.message).toMatch(/lists of tensors/);
    }
  });

  test("several inputs, a vector as target, and inputs alone", async () => {
    const several = await open({
      data: () => new data.TensorDataset(torch.randn(40, 3), torch.randn(40, 2, 5), torch.randn(40, 2)),
      loss: new nn.MSELoss(),
    });
    expect(several.summary.tensors.map(({ name, role }) => `${name} ${role}`)).toEqual([
      "input 1 input",
      "input 2 input",
      "target target",
    ]);
    expect(several.summary.classes).toBeUndefined();
    const alone = await open({
      data: () => new data.TensorDataset(torch.randn(40, 3)),
      loss: new nn.MSELoss(),
    });
    expect(alone.summary.tensors.map(({ name }) => name)).toEqual(["input"]);
  });

  test("several inputs have the names of the model's parameters, if these are those of the data", async () => {
    class Pair extends nn.Module {
      fc = new nn.Linear(3, 2);
      forward(tokens: Tensor, mask: Tensor): Tensor {
        return this.fc(tokens).mul(mask);
      }
    }
    class Open extends Pair {
      override forward(tokens: Tensor, mask = tokens): Tensor {
        return super.forward(tokens, mask);
      }
    }
    const pairs = () => new data.TensorDataset(torch.randn(9, 3), torch.randn(9, 1), torch.randn(9, 2));
    const loss = new nn.MSELoss();
    const names = async (changes: Partial<ExperimentOptions>): Promise<string[]> => {
      const session = await open({ data: pairs, loss, ...changes });
      const told = session.summary.tensors.map(({ name }) => name);
      expect(session.summary.batch!.tensors.map(({ name }) => name)).toEqual(told);
      const { samples } = session.samples({ split: "train", offset: 0, count: 1 });
      expect(samples[0]!.fields.map(({ name }) => name)).toEqual(told);
      return told;
    };
    expect(await names({ model: () => new Pair() })).toEqual(["tokens", "mask", "target"]);
    expect(await names({ model: () => new Open() })).toEqual(["input 1", "input 2", "target"]);
    const trainStep = (): Tensor => torch.zeros(1);
    expect(await names({ model: () => new Pair(), trainStep })).toEqual(["input 1", "input 2", "target"]);
  });

  test("sequences of several lengths are read one by one", async () => {
    const { summary } = await open({ data: () => mapped((i) => [torch.ones(3 + (i % 5)), torch.zeros(2)]) });
    expect(summary.splits[0]).toMatchObject({ read: 40 });
    expect(summary.tensors[0]).toMatchObject({ name: "input", shape: [3], largest: [7] });
    expect(summary.batch?.error?.message).toMatch(/equal size/);
  });

  test("strings, even with HTML, are unchanged", async () => {
    const session = await open({ data: () => mapped((i) => [`<img src=x onerror="alert(1)">${i}`, i]) });
    expect(session.summary.tensors[0]).toMatchObject({ dtype: "text", range: { minimum: 31, maximum: 32 } });
    const { samples } = session.samples({ split: "train", offset: 0, count: 1 });
    expect(samples[0]?.fields[0]?.view).toMatchObject({
      kind: "string",
      text: '<img src=x onerror="alert(1)">0',
    });
  });
});

describe("a model that can't be built", () => {
  const broken = (changes: Partial<ExperimentOptions>): Promise<DataSession> =>
    prepareData(
      experiment(
        options({
          model: () => {
            throw new Error("no such layer");
          },
          ...changes,
        }),
      ),
      0,
    ).then(({ prepared, problem }) => DataSession.of(prepared, undefined, [], problem));

  test("doesn't hide the data", async () => {
    const { summary } = await broken({});
    expect(summary.problem?.message).toMatch(/no such layer/);
    expect(summary.splits[0]).toMatchObject({ read: 150 });
  });

  test("is the error where the data fails too", async () => {
    const data = (): never => {
      throw new Error("no such file");
    };
    await expect(broken({ data })).rejects.toThrow("no such layer");
    await expect(broken({ data, model: () => new nn.Linear(4, 3) })).rejects.toThrow("no such file");
  });
});

describe("equal samples", () => {
  test("are listed as pairs, those across splits first", async () => {
    const x = torch.arange(0, 40).view(10, 4).to("float32");
    const part = (...rows: number[]): data.TensorDataset =>
      new data.TensorDataset(x.indexSelect(0, torch.tensor(rows)), torch.zeros(rows.length).to("int64"));
    const session = await open({ data: () => ({ train: part(0, 1, 2, 1), validation: part(3, 2, 5) }) });
    expect(session.summary.pairs).toEqual([
      [
        { split: "train", index: 2 },
        { split: "validation", index: 1 },
      ],
      [
        { split: "train", index: 1 },
        { split: "train", index: 3 },
      ],
    ]);
    const [a, b] = session.places(session.summary.pairs[0]!);
    expect(a?.fields[0]?.view).toEqual(b?.fields[0]?.view);
  });
});

describe("a sample's random transforms", () => {
  test("are drawn several times, beside the original sample", async () => {
    const session = await open({
      data: () =>
        new data.TransformDataset(data.digits(), { transform: new transforms.RandomCrop(8, { padding: 2 }) }),
    });
    const { original, draws, fixed } = session.draw({ split: "train", index: 5 });
    expect(fixed).toBe(false);
    expect(draws).toHaveLength(8);
    expect(new Set(draws.map((draw) => JSON.stringify(draw))).size).toBeGreaterThan(3);
    const plain = (await open({ data: () => data.digits() })).samples({
      split: "train",
      offset: 5,
      count: 1,
    });
    expect(original?.fields[0]?.view).toEqual(plain.samples[0]?.fields[0]?.view);
  });

  test("are absent: one draw shows that", async () => {
    const session = await open({});
    expect(session.draw({ split: "train", index: 0 })).toMatchObject({ fixed: true, draws: [{ index: 0 }] });
  });
});

describe("hostile data", () => {
  class Own extends data.Dataset<[Tensor, number]> {
    readonly length: number;
    readonly #get: (i: number) => [Tensor, number];

    constructor(length: number, get: (i: number) => [Tensor, number]) {
      super();
      this.length = length;
      this.#get = get;
    }

    get(i: number): [Tensor, number] {
      return this.#get(i);
    }
  }

  test("a set of ten million samples is sampled, and says so", async () => {
    const session = await open({ data: () => new Own(10_000_000, (i) => [torch.ones(4).mul(i), i % 3]) });
    expect(session.summary.splits[0]).toMatchObject({ samples: 10_000_000, read: 20_000 });
    expect(session.samples({ split: "train", offset: 9_999_990, count: 24 }).samples).toHaveLength(10);
  });

  test("a sample that throws ends the reading, and the others are shown", async () => {
    const session = await open({
      data: () =>
        new Own(40, (i) => {
          if (i === 7) throw new Error("broken file");
          return [torch.ones(4).mul(i), i % 3];
        }),
    });
    expect(session.summary.splits[0]?.failed).toMatchObject({
      sample: 7,
      error: { message: expect.stringMatching(/broken file/) },
    });
    const { samples } = session.samples({ split: "train", offset: 5, count: 4 });
    expect(samples.map(({ index, error }) => [index, error?.message])).toEqual([
      [5, undefined],
      [6, undefined],
      [7, expect.stringMatching(/broken file/)],
      [8, undefined],
    ]);
  });

  test("a sample that throws shows its error when it is drawn, or a tensor of it is viewed", async () => {
    const session = await open({
      data: () =>
        new Own(40, (i) => {
          if (i === 7) throw new RangeError("broken file");
          return [torch.ones(4).mul(i), i % 3];
        }),
    });
    const place = { split: "train" as const, index: 7 };
    expect(() => session.draw(place)).toThrow(new RangeError("broken file"));
    expect(() => session.openTensor(place, "input")).toThrow(new RangeError("broken file"));
  });

  test("an endless stream is read up to the limit", async () => {
    class Endless extends data.IterableDataset<[Tensor, number]> {
      *[Symbol.iterator](): Generator<[Tensor, number]> {
        for (let i = 0; ; i++) yield [torch.ones(4).mul(i), i % 3];
      }
    }
    const session = await open({ data: () => new Endless() });
    const [split] = session.summary.splits;
    expect(split?.samples).toBeUndefined();
    expect(split?.read).toBe(20_000);
    const { total, samples } = session.samples({ split: "train", offset: 19_999, count: 5 });
    expect(total).toBe(20_000);
    expect(samples.map(({ index }) => index)).toEqual([19_999]);
    expect(session.draw({ split: "train", index: 3 })).toMatchObject({ fixed: true, draws: [{ index: 3 }] });
  });

  test("a slow set ends at the time limit, with samples from all of it", async () => {
    let clock = 0;
    const set = new Own(10_000, (i) => {
      for (const end = performance.now() + 2; performance.now() < end;) clock++;
      return [torch.ones(4).mul(i), i % 3];
    });
    const prepared = await prepare(experiment(options({ data: () => set })), 0);
    const steps = readSteps("train", prepared.train, 0.3, []);
    let step = steps.next();
    while (step.done !== true) step = steps.next();
    expect(step.value).toMatchObject({ timedOut: true });
    expect(step.value!.read).toBeLessThan(1000);
    expect(step.value!.read).toBeGreaterThan(10);
    expect(Math.max(...step.value!.indices)).toBeGreaterThan(500);
    expect(clock).toBeGreaterThan(0);
  });

  test("columns of NaN count as missing and have no range", async () => {
    const session = await open({
      data: () => new data.TensorDataset(torch.full([60, 4], Number.NaN), torch.zeros(60).to("int64")),
    });
    expect(session.summary.splits[0]).toMatchObject({ missing: 240 });
    expect(session.summary.tensors[0]?.range).toMatchObject({
      minimum: Number.NaN,
      missing: 240,
      histogram: [],
    });
    expect(session.samples({ split: "train", offset: 0, count: 3 }).samples).toHaveLength(3);
  });
});
