// The seven networks of the tutorial: what PyTorch prints of them, their first weights, a hundred steps of training.
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadExecutor } from "../../../extension/executors/index.ts";
import { setWarningSink, type WarningSink } from "../../../extension/nn/warnings.ts";
import { setExecutor } from "../../../extension/tensor/planning/barrier.ts";
import { runInitItem, type InitExpectation, type InitSpec } from "../../parity/kinds/init.ts";
import { runReprItem, type ReprExpectation, type ReprSpec } from "../../parity/kinds/repr.ts";
import {
  runTrajectoryItem,
  type TrajectoryExpectation,
  type TrajectorySpec,
  type TrajectoryTolerance,
} from "../../parity/kinds/trajectory.ts";

interface Item<Spec, Expectation> {
  spec: Spec;
  expect: Expectation;
}

interface GoldenCase {
  tolerance: unknown;
  spec: { items: { id: string }[] };
  expect: { items: { id: string }[] };
}

const read = (file: string): unknown =>
  JSON.parse(readFileSync(new URL(`../../fixtures/${file}.json`, import.meta.url), "utf8"));

/** An item of a golden case, by its id or by what its id ends with. */
function golden<Spec, Expectation>(file: string, id: string): Item<Spec, Expectation> {
  const { spec, expect: expected } = read(`golden/${file}`) as GoldenCase;
  const at = spec.items.findIndex((item) => item.id === id || item.id.endsWith(`_${id}`));
  if (at < 0) throw new Error(`${file} has no item ${id}`);
  return { spec: spec.items[at] as Spec, expect: expected.items[at] as Expectation };
}

const bert = read("tutorial/bert") as {
  repr: Item<ReprSpec, ReprExpectation>;
  init: Item<InitSpec, InitExpectation>;
};

const printed = (file: string, id: string) => golden<ReprSpec, ReprExpectation>(`repr/${file}`, id);
const first = (id: string) => golden<InitSpec, InitExpectation>("init/seed_models", id);

interface Network {
  printed: Item<ReprSpec, ReprExpectation>[];
  first: Item<InitSpec, InitExpectation>[];
  /** Names of golden cases. */
  trained: string[];
}

const NETWORKS: Readonly<Record<string, Network>> = {
  feedforward: {
    printed: [printed("simplenn", "simplenn")],
    first: [first("SimpleNN")],
    trained: ["simplenn_adam", "simplenn_sgd"],
  },
  convolutional: { printed: [printed("cnn", "cnn")], first: [first("CNN")], trained: ["cnn_sgd_momentum"] },
  recurrent: { printed: [printed("rnn", "rnn")], first: [first("RNN")], trained: ["rnn_adam"] },
  LSTM: { printed: [printed("lstm", "lstm")], first: [first("LSTM")], trained: ["lstm_adam"] },
  Transformer: {
    printed: [
      bert.repr,
      printed("bert_base", "bert_base"),
      printed("transformer_classifier", "transformer_classifier"),
    ],
    first: [bert.init, first("TransformerClassifier")],
    trained: ["bert_sgd_dropout", "transformer_adamw_dropout"],
  },
  autoencoder: {
    printed: [printed("autoencoder", "autoencoder"), printed("autoencoder", "deep")],
    first: [first("Autoencoder"), first("DeepAutoencoder")],
    trained: ["autoencoder_adam"],
  },
  GAN: {
    printed: [printed("gan", "generator"), printed("gan", "discriminator")],
    first: [first("Generator"), first("Discriminator")],
    trained: ["gan_adam", "gan_deep_sgd"],
  },
};

let before: WarningSink;
beforeAll(async () => {
  await loadExecutor("auto");
  before = setWarningSink(() => undefined);
});
afterAll(() => {
  setWarningSink(before);
  setExecutor(undefined);
});

describe.each(Object.entries(NETWORKS))("%s network", (_, network) => {
  test("print(model) and numbers of parameters", () => {
    for (const item of network.printed) expect(runReprItem(item.spec, item.expect)).toBeNull();
  });

  test("first weights after a seed", () => {
    for (const item of network.first)
      expect(runInitItem(item.spec, item.expect, { abs: 1e-6, rel: 1e-6 })).toBeNull();
  });

  test("a hundred steps: lines, losses, weights, evaluation", () => {
    for (const name of network.trained) {
      const { tolerance } = read(`golden/trajectory/${name}`) as { tolerance: TrajectoryTolerance };
      const item = golden<TrajectorySpec, TrajectoryExpectation>(`trajectory/${name}`, name);
      expect(item.expect.losses.length).toBeGreaterThanOrEqual(100);
      expect(runTrajectoryItem(item.spec, item.expect, tolerance), name).toBeNull();
    }
  });
});
