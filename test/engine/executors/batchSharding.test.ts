// Ops over shards of a batch give what they give over the whole batch, and large steps run so.
import { readdirSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TensorFlowExecutor } from "../../../extension/executors/tensorflow/executor.ts";
import { NativeError } from "../../../extension/native/errors.ts";
import { chosenThreads, loadNative } from "../../../extension/native/load.ts";
import { applyAll } from "../../../extension/tensor/recording/apply.ts";
import { toHostArray, type DType } from "../../../extension/tensor/core/dtype.ts";
import type { Op } from "../../../extension/tensor/recording/op.ts";
import { OPS } from "../../../extension/tensor/ops/table.ts";
import { divides, elementwise, partOf, type Cut } from "../../../extension/tensor/planning/parts.ts";
import { setExecutor, valuesOf } from "../../../extension/tensor/planning/barrier.ts";
import { changePolicy } from "../../../extension/tensor/recording/runtime.ts";
import { numel } from "../../../extension/tensor/core/shape.ts";
import { fromHost } from "../../../extension/tensor/core/tensor.ts";
import { nn, optim, torch, type Tensor } from "../../../extension/nn/index.ts";
import { useEngine } from "../../engines.ts";

interface Recorded {
  dtype: DType;
  shape: number[];
  data: (number | string)[];
}
interface Sample {
  inputs: Recorded[];
  attributes: object;
  outputs: Recorded[];
}

const SHARDS = 2;
const folder = new URL("../../fixtures/ops/", import.meta.url);
const samples: Record<string, Sample[]> = {};
for (const file of readdirSync(folder).filter((name) => name.endsWith(".json")))
  Object.assign(samples, JSON.parse(readFileSync(new URL(file, folder), "utf8")).ops);

const ruleOf = (op: Op<object>): Op<object>["parts"] =>
  op.parts ?? (op.layout === "elementwise" ? elementwise : undefined);

/** Positions of the elements of a shard. */
function positions(shape: readonly number[], { dim, outer }: Cut, part: number): number[] {
  const after = numel(shape.slice(dim + 1));
  const block = (shape[dim]! / outer) * after;
  const size = block / SHARDS;
  return Array.from({ length: numel(shape) }, (_, i) => i).filter(
    (i) => Math.floor((i % block) / size) === part,
  );
}

/** Cuts of one input, or of all inputs of its shape, in any dimension. */
function* cutsOf({ inputs }: Sample): Generator<(Cut | undefined)[]> {
  for (const [i, { shape }] of inputs.entries())
    for (let dim = 0; dim < shape.length; dim++)
      for (const outer of [1, 2, 3, 4, 5]) {
        if (!divides(shape, { dim, outer }, SHARDS)) continue;
        yield inputs.map((_, k) => (k === i ? { dim, outer } : undefined));
        yield inputs.map((m) => (m.shape.join() === shape.join() ? { dim, outer } : undefined));
      }
}

/** Compares the op over shards with the whole. Answers how many ways of cutting it were compared. */
function check(op: Op<object>, sample: Sample): number {
  let checked = 0;
  for (const cuts of cutsOf(sample)) {
    const rule = ruleOf(op)!(cuts, sample, sample.attributes, SHARDS);
    if (rule === undefined) continue;
    if (sample.inputs.some((m, i) => rule.inputs[i] && !divides(m.shape, rule.inputs[i], SHARDS))) continue;
    const what = `${op.name} ${JSON.stringify(sample.inputs.map((m) => m.shape))} cut ${JSON.stringify(cuts)}`;
    const results = Array.from({ length: SHARDS }, (_, part) =>
      applyAll(
        op,
        sample.inputs.map(({ shape, data, dtype }, i) => {
          const cut = rule.inputs[i];
          if (cut === undefined) return fromHost(toHostArray(data.map(Number), dtype), shape, dtype);
          const own = positions(shape, cut, part).map((at) => Number(data[at]));
          return fromHost(toHostArray(own, dtype), partOf(shape, cut, SHARDS), dtype);
        }),
        rule.attributes ?? sample.attributes,
      ),
    );
    sample.outputs.forEach(({ shape, data }, k) => {
      const how = rule.outputs[k]!;
      const found = results.map((each) => each[k]!);
      const joined: number[] = Array(numel(shape)).fill(0);
      found.forEach((tensor, part) => {
        const own = [...valuesOf(tensor.value)];
        if (typeof how === "string") {
          expect(tensor.shape, what).toEqual(shape);
          own.forEach((x, at) => (joined[at]! += how === "sum" ? x : x / SHARDS));
        } else {
          expect(tensor.shape, what).toEqual(partOf(shape, how, SHARDS));
          positions(shape, how, part).forEach((at, i) => (joined[at] = own[i]!));
        }
      });
      joined.forEach((x, at) => {
        const y = Number(data[at]);
        const same = Object.is(x, y) || Math.abs(x - y) <= 1e-4 + 1e-4 * Math.abs(y) || x === y;
        expect(same, `${what}, output ${k}: ${x} for ${y} at ${at}`).toBe(true);
      });
    });
    checked++;
  }
  return checked;
}

describe("an op over shards gives what it gives over the whole", () => {
  useEngine("cpu");
  const ops = ([...OPS.values()] as unknown as Op<object>[]).filter((op) => ruleOf(op) !== undefined);
  test.each(ops.map((op) => [op.name, op] as const))("%s", (name, op) => {
    const checked = samples[name]!.reduce((sum, sample) => sum + check(op, sample), 0);
    expect(checked, "no sample of the op can be cut").toBeGreaterThan(0);
  });
});

describe("large steps", () => {
  beforeAll(() => changePolicy({ smallPlans: false }));
  afterAll(() => changePolicy({ smallPlans: true }));
  let available = true;
  beforeAll(() => {
    // Graphs are compiled at the second sight, whatever they cost.
    changePolicy({ smallPlans: false });
    try {
      loadNative();
    } catch (error) {
      if (!(error instanceof NativeError)) throw error;
      available = false;
    }
  });
  afterAll(() => {
    changePolicy({ smallPlans: true });
    setExecutor(undefined);
  });

  class Recurrent extends nn.Module {
    rnn: nn.RNN;
    head = new nn.Linear(96, 3);
    constructor(rnn: nn.RNN) {
      super();
      this.rnn = rnn;
    }
    forward(x: Tensor): Tensor {
      return this.head(this.rnn(x)[0].select(1, -1));
    }
  }
  /** Steps of the sequence come before the batch. */
  class TimeFirst extends nn.Module {
    body: nn.Module;
    head: nn.Linear;
    constructor(body: nn.Module, width: number) {
      super();
      this.body = body;
      this.head = new nn.Linear(width, 3);
    }
    forward(x: Tensor): Tensor {
      const y = (this.body as unknown as (x: Tensor) => Tensor | [Tensor])(x);
      return this.head(Array.isArray(y) ? y[0] : y).mean(0);
    }
  }
  const options = { batchFirst: true };
  const networks: Record<string, [model: () => nn.Module, input: () => Tensor]> = {
    convolutional: [
      () =>
        new nn.Sequential(
          new nn.Conv2d(3, 16, 3, { padding: 1 }),
          new nn.ReLU(),
          new nn.Conv2d(16, 16, 3),
          new nn.Tanh(),
          new nn.MaxPool2d(2),
          new nn.Flatten(),
          new nn.Linear(16 * 49, 3),
        ),
      () => torch.randn(32, 3, 16, 16),
    ],
    LSTM: [() => new Recurrent(new nn.LSTM(16, 96, options) as never), () => torch.randn(8, 40, 16)],
    GRU: [() => new Recurrent(new nn.GRU(16, 96, options) as never), () => torch.randn(8, 40, 16)],
    RNN: [
      () => new Recurrent(new nn.RNN(16, 96, { ...options, numLayers: 2 })),
      () => torch.randn(8, 40, 16),
    ],
    transformer: [
      () =>
        new nn.Sequential(
          new nn.TransformerEncoderLayer(64, 4, { dimFeedforward: 128, dropout: 0, batchFirst: true }),
          new nn.Flatten(),
          new nn.Linear(64 * 20, 3),
        ),
      () => torch.randn(16, 20, 64),
    ],
    "LSTM, time first": [() => new TimeFirst(new nn.LSTM(16, 96), 96), () => torch.randn(40, 8, 16)],
    "transformer, time first": [
      () => new TimeFirst(new nn.TransformerEncoderLayer(64, 4, { dimFeedforward: 128, dropout: 0 }), 64),
      () => torch.randn(21, 16, 64),
    ],
  };

  test.for(Object.keys(networks))("%s: sharded as whole", (name, { skip }) => {
    if (!available) skip("TensorFlow is not installed");
    const [model, input] = networks[name]!;
    const run = (cores: number): { losses: number[]; weights: number[]; sharded: number } => {
      const executor = new TensorFlowExecutor(loadNative(), cores);
      setExecutor(executor);
      torch.manualSeed(3);
      const network = model() as nn.Sequential;
      const x = input();
      const y = torch.randint(0, 3, [x.shape[name.includes("time first") ? 1 : 0]!]);
      const optimizer = new optim.SGD(network.parameters(), { lr: 0.05 });
      const losses = Array.from({ length: 5 }, () => {
        optimizer.zeroGrad();
        const loss = new nn.CrossEntropyLoss()(network(x), y);
        loss.backward();
        optimizer.step();
        return loss.item();
      });
      const weights = [...network.parameters()].flatMap((p) => [...(p.toTypedArray() as Float32Array)]);
      return { losses, weights, sharded: executor.counters.sharded };
    };
    const [one, two] = [run(1), run(2)];
    expect([one.sharded, two.sharded]).toEqual([0, 1]);
    two.losses.forEach((loss, i) => expect(loss).toBeCloseTo(one.losses[i]!, 5));
    const furthest = Math.max(...two.weights.map((w, i) => Math.abs(w - one.weights[i]!)));
    expect(furthest).toBeLessThan(1e-5);
  });

  test("an unsharded step of large kernels gets several threads inside an op, a small one doesn't", ({
    skip,
  }) => {
    if (!available) skip("TensorFlow is not installed");
    const threads = (channels: number, size: number): string[] => {
      const executor = new TensorFlowExecutor(loadNative(), 2);
      setExecutor(executor);
      const network = new nn.Sequential(
        new nn.Conv2d(channels, channels, 3, { padding: 1 }),
        new nn.BatchNorm2d(channels),
        new nn.Conv2d(channels, channels, 3, { padding: 1 }),
      );
      const optimizer = new optim.SGD(network.parameters(), { lr: 0.05 });
      const x = torch.randn(8, channels, size, size);
      for (let i = 0; i < 3; i++) {
        optimizer.zeroGrad();
        network(x).square().mean().backward();
        optimizer.step();
      }
      const choices = executor.choices().filter(({ graph, about }) => graph !== "" && about === "threads");
      return choices.map(({ chosen }) => chosen);
    };
    // Where the environment says how many, nothing is chosen.
    expect(threads(64, 24)).toEqual(chosenThreads()!.asked ? [] : ["2 inside an op"]);
    expect(threads(8, 24)).toEqual([]);
  });
});
