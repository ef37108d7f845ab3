// Dropout draws in the order of PyTorch's memory, which elementwise functions and recurrent layers leave transposed.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { F, nn, torch, type Tensor } from "../../../extension/nn/index.ts";
import { useEngine } from "../../engines.ts";

useEngine("cpu");

const recorded = JSON.parse(
  readFileSync(new URL("../../fixtures/random/dropoutOrder.json", import.meta.url), "utf8"),
) as Record<string, number[]>;

const x = torch.ones(2, 3, 4);
const turned = (): Tensor => x.transpose(1, 2);

/** As in test/fixtures/random/dropoutOrder.py. */
const RESULTS: Record<string, () => Tensor> = {
  relu: () => F.relu(turned()),
  chain: () =>
    F.relu(x.permute(2, 0, 1))
      .mul(2)
      .add(1),
  firstTransposed: () => turned().add(torch.ones(2, 4, 3)),
  secondTransposed: () => torch.ones(2, 4, 3).add(turned()),
  broadcast: () => turned().add(torch.ones(3)),
  gelu: () => F.gelu(turned()),
  silu: () => F.silu(turned()),
  where: () => torch.where(torch.ones(2, 4, 3).bool(), turned(), 0),
  clone: () => turned().clone(),
  contiguous: () => turned().contiguous(),
  slice: () => turned().index(":", "1:3").tanh(),
  cast: () => x.long().transpose(1, 2).float(),
  prelu: () => F.prelu(turned(), torch.ones(1)),
  elu: () => F.elu(turned()),
  expanded: () => torch.ones(3, 1).expand(3, 4).relu(),
  softmax: () => F.softmax(turned(), -1),
  linear: () => F.linear(turned(), torch.ones(5, 3)),
  cat: () => torch.cat([turned(), turned()], 2),
  rnn: () => new nn.RNN(3, 2, { batchFirst: true })(torch.ones(2, 4, 3))[0],
  lstm: () => new nn.LSTM(3, 2, { batchFirst: true })(torch.ones(2, 4, 3))[0],
  gru: () =>
    new nn.GRU(3, 2, { batchFirst: true, bidirectional: true })(torch.ones(2, 4, 3))[0]
      .relu()
      .add(1),
};

test("every recorded result is compared", () => {
  expect(Object.keys(RESULTS)).toEqual(Object.keys(recorded));
});

test.each(Object.keys(RESULTS))("%s", (name) => {
  const result = RESULTS[name]!();
  torch.manualSeed(0);
  // Any value but 0, so that what is left out can be told.
  const kept = F.dropout(result.detach().mul(0).add(1), 0.5).ne(0);
  expect([...kept.reshape(-1).long().toTypedArray()]).toEqual(recorded[name]);
});
