// Interventions against PyTorch's numbers: test/fixtures/interventions/make.py.
import fs from "node:fs";
import { expect, test } from "vitest";
import { F, nn, torch, type Tensor } from "../../../../extension/nn/index.ts";
import type { Intervention, Outcome } from "../../../../extension/protocol/interventions.ts";
import { useEngine } from "../../../engines.ts";
import { interventionsOf, type Net, sample } from "./intervening.ts";

useEngine("cpu");

class Images extends nn.Module {
  conv = new nn.Conv2d(2, 4, 3, { padding: 1 });
  norm = new nn.BatchNorm2d(4);
  fc = new nn.Linear(4 * 25, 3);

  forward(x: Tensor): Tensor {
    return this.fc(F.relu(this.norm(this.conv(x))).flatten(1));
  }
}

class Sequences extends nn.Module {
  attention = new nn.MultiheadAttention(6, 3, { batchFirst: true });
  fc = new nn.Linear(6, 2);

  forward(x: Tensor): Tensor {
    return this.fc(this.attention(x, x, x)[0].mean(1));
  }
}

interface Recorded {
  weights: Record<string, { shape: number[]; values: number[] }>;
  x: number[][];
  y: number[];
  results: { sample: number; unit: number; by: Intervention["by"]; before: Outcome; after: Outcome }[];
}

const recorded = JSON.parse(
  fs.readFileSync(new URL("../../../fixtures/interventions/interventions.json", import.meta.url), "utf8"),
) as Record<"images" | "sequences", Recorded>;

async function compare(
  model: Net,
  { weights, x, y, results }: Recorded,
  at: Pick<Intervention, "layer" | "part">,
): Promise<void> {
  const state = Object.entries(weights).map(([name, { shape, values }]): [string, Tensor] => [
    name,
    torch.tensor(values).reshape(shape),
  ]);
  model.loadStateDict(new Map(state));
  const asked = await interventionsOf(
    model,
    [torch.tensor(x).float(), torch.tensor(y)],
    new nn.CrossEntropyLoss(),
  );
  expect(results.map(({ by }) => by.mode)).toEqual(["zero", "mean", "sample"]);
  for (const { sample: index, unit, by, before, after } of results) {
    const answer = asked.intervene({ subject: sample(index), interventions: [{ ...at, unit, by }] });
    for (const [ours, theirs] of [
      [answer.before, before],
      [answer.after, after],
    ] as const) {
      expect(ours.loss).toBeCloseTo(theirs.loss!, 5);
      ours.probabilities!.forEach((chance, i) => expect(chance).toBeCloseTo(theirs.probabilities![i]!, 5));
    }
    expect(after.loss).not.toBeCloseTo(before.loss!, 3);
  }
}

test("channels take 0, their mean and another sample's values as with PyTorch's hooks", () =>
  compare(new Images(), recorded.images, { layer: "norm", part: "output" }));

test("heads take 0, their mean and another sample's values as in PyTorch's attention", () =>
  compare(new Sequences(), recorded.sequences, { layer: "attention", part: "heads" }));
