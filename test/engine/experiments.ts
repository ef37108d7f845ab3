// The experiments that there are, for tests which walk all of them: the bench's workloads and the examples.
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll } from "vitest";
import { loadExecutor } from "../../extension/executors/index.ts";
import { setExecutor } from "../../extension/tensor/planning/barrier.ts";
import type { Experiment } from "../../extension/nn/experiment/experiment.ts";
import { data, nn } from "../../extension/nn/index.ts";

const root = path.resolve(import.meta.dirname, "..", "..");

const inFolder = (folder: string): string[] =>
  fs
    .readdirSync(path.join(root, folder))
    .filter((name) => name.endsWith(".nn.ts"))
    .map((name) => `${folder}/${name}`);

/** Their files, relative to the project. The tutorial is a program, and BERT-base too large for a test. */
export const EXPERIMENTS = [...inFolder("test/bench/workloads"), ...inFolder("media/examples")].filter(
  (file) => !/(tutorial|bert-base)\.nn\.ts$/.test(file),
);

/** Has the tests of a block run on TensorFlow, in a folder of their own that has what the examples need. */
export function forExperiments(): void {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "layerwise-"));
  beforeAll(async () => {
    process.chdir(folder);
    await loadExecutor("native");
    writeBert(folder);
  });
  afterAll(() => {
    setExecutor(undefined);
    process.chdir(root);
    fs.rmSync(folder, { recursive: true, force: true });
  });
}

/** An experiment to train; undefined where its data is missing. {@link forExperiments} comes first. */
export async function loadExperiment(file: string): Promise<Experiment | undefined> {
  if (file.includes("fashion") && !fs.existsSync("/usr/share/datasets/fashion-mnist")) return undefined;
  return ((await import(path.join(root, file))) as { default: Experiment }).default;
}

/** A folder of Hugging Face with a tiny BERT. */
function writeBert(folder: string): void {
  const words = data.speeches().sentences.flatMap((sentence) => data.words(sentence));
  const specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
  const { tokens } = new data.Vocabulary(words, { minFreq: 3, specials });
  const sizes = { hiddenSize: 8, numHiddenLayers: 1, numAttentionHeads: 2, intermediateSize: 16 };
  const config = { ...sizes, vocabSize: tokens.length, maxPositionEmbeddings: 64 };
  new nn.BertModel(config).savePretrained(path.join(folder, "bert"));
  fs.writeFileSync(path.join(folder, "bert", "vocab.txt"), `${tokens.join("\n")}\n`);
}
