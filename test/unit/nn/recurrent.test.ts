import { expect, test } from "vitest";
import { nn, summary, torch, type Tensor } from "../../../extension/nn/index.ts";
import { setWarningSink } from "../../../extension/nn/warnings.ts";
import { grad } from "../../../extension/tensor/recording/autograd.ts";

type PackedSequence = nn.utils.rnn.PackedSequence;
const { packPaddedSequence } = nn.utils.rnn;

/** Compiles only if calls are typed by what goes in: `npx tsc -b` checks this one. */
class Typed extends nn.Module {
  lstm = new nn.LSTM(10, 4, { numLayers: 2, batchFirst: true });
  gru = new nn.GRU(4, 3, 1, { bidirectional: true });
  rnn = new nn.RNN(6, 5, 1, "relu");
  cell = new nn.LSTMCell(5, 2);

  forward(x: Tensor): Tensor {
    const [y, [h, c]] = this.lstm(x);
    const states: [Tensor, Tensor] = [h, c];
    const [again]: [Tensor, [Tensor, Tensor]] = this.lstm(x, states);
    const [z, last]: [Tensor, Tensor] = this.gru(again.add(y));
    const [packed, [ph]] = this.lstm(packPaddedSequence(x, [3, 2], { batchFirst: true }));
    const kept: PackedSequence = packed;
    const [w] = this.rnn(z, last.narrow(0, 0, 1).narrow(2, 0, 1).expand(1, 3, 5));
    const [hx] = this.cell(w.select(0, 0));
    return hx.sum().add(kept.data.sum()).add(ph.sum());
  }
}

test("calls are typed by their arguments, and run", () => {
  expect(new Typed()(torch.randn(2, 3, 10)).shape).toEqual([]);
});

test("parameters have PyTorch's names and order, by property too", () => {
  const lstm = new nn.LSTM(5, 4, { numLayers: 2, bidirectional: true, projSize: 2 });
  const layer = (suffix: string): string[] =>
    ["weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr"].map((name) => `${name}_${suffix}`);
  expect([...lstm.stateDict().keys()]).toEqual(["l0", "l0_reverse", "l1", "l1_reverse"].flatMap(layer));
  expect(lstm.weightIhL0!.shape).toEqual([16, 5]);
  expect(lstm.weightIhL1Reverse!.shape).toEqual([16, 4]);
  expect(lstm.allWeights.map((all) => all.length)).toEqual([5, 5, 5, 5]);
  const all = lstm.parameters();
  expect(lstm.allWeights.flat().every((p, i) => p === all[i])).toBe(true);
  expect(new nn.GRU(5, 4, { bias: false }).biasIhL0).toBeUndefined();
  lstm.flattenParameters();
});

test("dropout without a layer to follow is warned of, in PyTorch's words", () => {
  const said: string[] = [];
  const before = setWarningSink((message) => said.push(message));
  try {
    for (const numLayers of [1, 2]) expect(new nn.GRU(3, 4, { dropout: 0.5, numLayers }).dropout).toBe(0.5);
  } finally {
    setWarningSink(before);
  }
  expect(said).toEqual([
    "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects num_layers greater than 1, but got dropout=0.5 and num_layers=1",
  ]);
});

test("multiply-adds count every step, every layer, and biases where there are any", () => {
  class Stack extends nn.Module {
    lstm = new nn.LSTM(10, 20, { numLayers: 2, bidirectional: true });
    gru = new nn.GRU(40, 5, { bias: false });
    rnn = new nn.RNN(5, 6);
    projected = new nn.LSTM(6, 5, { projSize: 3 });

    forward(x: Tensor): Tensor {
      return this.projected(this.rnn(this.gru(this.lstm(x)[0])[0])[0])[0];
    }
  }
  const rows = 7 * 4;
  const lstm = (input: number, hidden: number, output = hidden): number =>
    4 * hidden * (input + output + 2) + (output === hidden ? 0 : hidden * output);
  const perRow = 2 * lstm(10, 20) + 2 * lstm(40, 20) + 15 * (40 + 5) + 6 * (5 + 6 + 2) + lstm(6, 5, 3);
  expect(summary(new Stack(), { inputSize: [7, 4, 10], verbose: 0 }).totalMultAdds).toBe(rows * perRow);
});

test("a gradient that is recorded can be differentiated", () => {
  const x = torch.randn(3, 2, 4).requiresGrad_();
  const [y] = new nn.GRU(4, 2)(x);
  const [first] = grad(y.sum(), x, { createGraph: true });
  const [second] = grad(first!.sum(), x);
  expect(second!.shape).toEqual([3, 2, 4]);
});
