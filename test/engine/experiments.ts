// The experiments that there are, for tests which walk all of them: the bench's workloads and the examples.
import fs from "node:fs";
import path from "node:path";
import type { Experiment } from "../../extension/nn/experiment.ts";
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

/** An experiment to train; undefined where its data is missing. {@link writeBert} comes first. */
export async function loadExperiment(file: string): Promise<Experiment | undefined> {
  if (file.includes("fashion") && !fs.existsSync("/usr/share/datasets/fashion-mnist")) return undefined;
  return ((await import(path.join(root, file))) as { default: Experiment }).default;
}

/** What the examples need beside them: a folder of Hugging Face with a tiny BERT. */
export function writeBert(folder: string): void {
  const words = data.speeches().sentences.flatMap((sentence) => data.words(sentence));
  const specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
  const { tokens } = new data.Vocabulary(words, { minFreq: 3, specials });
  const sizes = { hiddenSize: 8, numHiddenLayers: 1, numAttentionHeads: 2, intermediateSize: 16 };
  const config = { ...sizes, vocabSize: tokens.length, maxPositionEmbeddings: 64 };
  new nn.BertModel(config).savePretrained(path.join(folder, "bert"));
  fs.writeFileSync(path.join(folder, "bert", "vocab.txt"), `${tokens.join("\n")}\n`);
}
