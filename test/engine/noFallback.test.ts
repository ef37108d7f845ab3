// That models of all kinds train compiled, validation included: nothing of them is computed op by op.
import "../../extension/engine/library.ts";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { userFolder } from "../../extension/engine/dataFiles.ts";
import { loadExecutor } from "../../extension/executors/index.ts";
import { nativeStatus } from "../../extension/native/status.ts";
import { Experiment } from "../../extension/nn/experiment.ts";
import { data, nn } from "../../extension/nn/index.ts";
import { setExecutor } from "../../extension/tensor/runtime.ts";
import { train } from "../unit/engine/training.ts";

const root = path.resolve(import.meta.dirname, "..", "..");
const experiments = (folder: string): string[] =>
  fs
    .readdirSync(path.join(root, folder))
    .filter((name) => name.endsWith(".nn.ts"))
    .map((name) => `${folder}/${name}`);

const STEPS = 12;

/** The tutorial is a program. */
const files = [...experiments("test/bench/workloads"), ...experiments("media/examples")].filter(
  (file) => !file.endsWith("tutorial.nn.ts"),
);

/** What the examples need beside them: a folder of Hugging Face with a tiny BERT. */
function writeBert(folder: string): void {
  const words = data.speeches().sentences.flatMap((sentence) => data.words(sentence));
  const specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
  const { tokens } = new data.Vocabulary(words, { minFreq: 3, specials });
  const sizes = { hiddenSize: 8, numHiddenLayers: 1, numAttentionHeads: 2, intermediateSize: 16 };
  const config = { ...sizes, vocabSize: tokens.length, maxPositionEmbeddings: 64 };
  new nn.BertModel(config).savePretrained(path.join(folder, "bert"));
  fs.writeFileSync(path.join(folder, "bert", "vocab.txt"), `${tokens.join("\n")}\n`);
}

describe.skipIf(nativeStatus().state !== "installed")("compiled, without a fallback:", () => {
  let folder: string;
  beforeAll(async () => {
    folder = userFolder.path = fs.mkdtempSync(path.join(os.tmpdir(), "layerwise-"));
    await loadExecutor("native");
    writeBert(folder);
  });
  afterAll(() => {
    setExecutor(undefined);
    userFolder.path = undefined;
    fs.rmSync(folder, { recursive: true, force: true });
  });

  it.for(files)("%s", async (file, { skip }) => {
    const executor = await loadExecutor("native");
    const { default: experiment } = (await import(path.join(root, file))) as { default: Experiment };
    skip(file.includes("fashion") && !fs.existsSync("/usr/share/datasets/fashion-mnist"), "no data");
    let before: Record<string, number> = {};
    const { state } = await train(
      new Experiment({
        ...experiment.options,
        epochs: STEPS,
        maxSteps: STEPS,
        limitValBatches: 2,
        checkpoints: false,
        callbacks: { onTrainStart: () => void (before = executor.counters()) },
      }),
    );
    const after = executor.counters();
    const grown = (name: string): number => after[name]! - before[name]!;
    expect(state.step).toBe(STEPS);
    expect(grown("compiledRuns")).toBeGreaterThanOrEqual(STEPS);
    expect({ interpreted: grown("interpreted"), fellBack: after["fellBack"] }).toEqual({
      interpreted: 0,
      fellBack: 0,
    });
  });
});
