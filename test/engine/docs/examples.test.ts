import fs from "node:fs";
import path from "node:path";
import { PNG } from "pngjs";
import { describe, expect, test } from "vitest";
import { slow } from "../../slow.ts";
import { examples, jsonLines, readRun, useWorkspace } from "../workspace.ts";

/**
 * Writes a folder as Hugging Face has them: a tiny BERT with first weights, and the words of the speeches as its vocabulary.
 */
const BERT_FOLDER = `import fs from "node:fs";
import { torch, nn, data } from "layerwise";
const words = data.speeches().sentences.flatMap((sentence) => data.words(sentence));
const specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
const { tokens } = new data.Vocabulary(words, { minFreq: 3, specials });
torch.manualSeed(0);
const model = new nn.BertModel({
  vocabSize: tokens.length,
  hiddenSize: 64,
  numHiddenLayers: 2,
  numAttentionHeads: 4,
  intermediateSize: 128,
  maxPositionEmbeddings: 64,
});
model.savePretrained("bert");
fs.writeFileSync("bert/vocab.txt", tokens.join("\\n") + "\\n");
`;

interface Example {
  /** Bounds of the metrics on held-out data, and the number of samples. */
  quality: Readonly<Record<string, { atLeast: number } | { atMost: number }>>;
  samples: number;
  /** A program that creates the files it needs, in the folder in which it runs. */
  before?: string;
  /** Whether it is measured on random draws, which differ each time. */
  drawn?: boolean;
  /** Whether it trains for long. */
  slow?: true;
  /** A folder without which the example is skipped. */
  needs?: string;
  /** Pattern of its output. */
  prints?: RegExp;
  /** PNG files that it writes, with their sizes. */
  images?: Readonly<Record<string, [width: number, height: number]>>;
}

/** The bounds leave some room below what the files say, for processors that round differently. */
const EXAMPLES: Readonly<Record<string, Example>> = {
  iris: { quality: { accuracy: { atLeast: 0.93 } }, samples: 30 },
  digits: { quality: { accuracy: { atLeast: 0.98 } }, samples: 359 },
  fashion: {
    quality: { accuracy: { atLeast: 0.88 } },
    samples: 10_000,
    needs: "/usr/share/datasets/fashion-mnist",
  },
  temperature: { quality: { celsius: { atMost: 2.3 } }, samples: 289 },
  names: {
    slow: true,
    quality: { loss: { atMost: 2.05 } },
    samples: 884,
    prints: /^([A-Z][a-z'-]+(, |$)){8}/m,
  },
  transformer: { slow: true, quality: { accuracy: { atLeast: 0.86 } }, samples: 482 },
  bert: { slow: true, quality: { accuracy: { atLeast: 0.85 } }, samples: 482, before: BERT_FOLDER },
  autoencoder: {
    quality: { loss: { atMost: 0.021 } },
    samples: 359,
    images: { "autoencoder-digits.png": [274, 70] },
  },
  gan: {
    slow: true,
    quality: { coverage: { atMost: 0.237 }, realism: { atMost: 0.237 } },
    drawn: true,
    samples: 359,
    images: { "gan-samples.png": [274, 274] },
  },
};

/** Seconds that an example may train on two idle cores; tests get more. */
const LIMIT = 120;

const workspace = useWorkspace();

describe("each example trains, is saved, and loaded again reaches what its file says", () => {
  for (const [
    name,
    { quality, samples, drawn, slow: isSlow, needs, before, prints, images = {} },
  ] of Object.entries(EXAMPLES))
    test(name, { timeout: 5 * LIMIT * 1000, ...(isSlow && slow) }, async ({ skip }) => {
      skip(needs !== undefined && !fs.existsSync(needs), `${needs} is not installed`);
      const env = { LAYERWISE_DEVICE: "auto" };
      const file = workspace.write(
        `${name}.nn.ts`,
        fs.readFileSync(path.join(examples, `${name}.nn.ts`), "utf8"),
      );
      if (before !== undefined)
        expect(await workspace.run(["run", workspace.write("before.nn.ts", before)])).toMatchObject({
          code: 0,
        });
      const trained = await workspace.run(["train", file], { env });
      expect(trained.stderr).not.toContain("error:");
      expect(trained.code).toBe(0);
      if (prints !== undefined) expect(trained.stdout).toMatch(prints);
      const record = readRun(workspace.runs()[0]!);
      const final = record.checkpoints.find(({ kind }) => kind === "final")!;
      const checkpoint = path.join(workspace.runs()[0]!, final.file);

      const evaluated = await workspace.run(["evaluate", file, "--checkpoint", checkpoint, "--json"], {
        env,
      });
      expect(evaluated.code).toBe(0);
      const result = jsonLines(evaluated.stdout).find(({ event }) => event === "evaluated")!;
      expect(result["samples"]).toBe(samples);
      const metrics = result["metrics"] as Record<string, number>;
      for (const [metric, bound] of Object.entries(quality)) {
        if ("atLeast" in bound) expect(metrics[metric], metric).toBeGreaterThanOrEqual(bound.atLeast);
        else expect(metrics[metric], metric).toBeLessThanOrEqual(bound.atMost);
        // The weights are those that were trained: measured again, they are as good as at the end.
        expect(metrics[metric], metric).toBeCloseTo(record.metrics[`val_${metric}`]!, drawn ? 1.5 : 2);
      }
      for (const [image, size] of Object.entries(images)) {
        const { width, height, data } = PNG.sync.read(fs.readFileSync(workspace.file(image)));
        expect([image, width, height]).toEqual([image, ...size]);
        // Ink and paper.
        const red = data.filter((_byte, i) => i % 4 === 0);
        expect(red.reduce((a, b) => Math.min(a, b))).toBeLessThan(16);
        expect(red.reduce((a, b) => Math.max(a, b))).toBeGreaterThan(240);
      }
    });
});
