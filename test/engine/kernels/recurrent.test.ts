// Recurrent layers of all kinds of sizes: the binding's kernels, which compute all steps at once, against TensorFlow's.
import { describe, expect, it } from "vitest";
import { nn, torch, type Tensor } from "../../../extension/nn/index.ts";
import { hasNative, useEngine } from "../../engines.ts";
import { expectAgreement, numbers } from "./agreement.ts";

const { packPaddedSequence } = nn.utils.rnn;

const LAYERS = {
  LSTM: (hidden: number) => new nn.LSTM(3, hidden),
  GRU: (hidden: number) => new nn.GRU(3, hidden),
  tanh: (hidden: number) => new nn.RNN(3, hidden),
  ReLU: (hidden: number) => new nn.RNN(3, hidden, { nonlinearity: "relu" }),
  "LSTM with a projection": (hidden: number) => new nn.LSTM(3, hidden, { projSize: Math.ceil(hidden / 2) }),
};

/** The result and all gradients; `lengths` are those of the sequences, which may differ. */
function computed(
  make: (hidden: number) => nn.LSTM | nn.GRU | nn.RNN,
  hidden: number,
  lengths: readonly number[],
): Tensor[] {
  const layer = make(hidden);
  for (const [i, p] of [...layer.parameters()].entries()) p.data = numbers(p.shape, i).div(hidden ** 0.5);
  const x = numbers([Math.max(...lengths), lengths.length, 3], 50).requiresGrad_();
  const packed = lengths.some((n) => n !== lengths[0]);
  const call = layer as unknown as (x: unknown) => [Tensor | { data: Tensor }, Tensor | Tensor[]];
  const [result, end] = call(packed ? packPaddedSequence(x, torch.tensor([...lengths])) : x);
  const y = "data" in result && packed ? (result as { data: Tensor }).data : (result as Tensor);
  const ends = [end].flat();
  let loss = y.mul(numbers(y.shape, 60)).sum();
  ends.forEach((e, i) => (loss = loss.add(e.mul(numbers(e.shape, 70 + i)).sum())));
  loss.backward();
  return [
    y.detach(),
    ...ends.map((e) => e.detach()),
    x.grad!,
    ...[...layer.parameters()].map((p) => p.grad!),
  ];
}

describe.runIf(hasNative)("recurrent layers", () => {
  const executor = useEngine("native");
  // Weights that fill panels and that don't; more terms than are added in a row; sequences for one thread, and for several.
  const sizes = [5, 8, 16, 33, 70, 128].flatMap((hidden) =>
    [
      [7],
      [4, 4, 4],
      [9, 9, 6, 6, 1],
      Array.from({ length: 26 }, () => 3),
      [...Array(13).fill(5), ...Array(12).fill(2)],
    ].map((lengths) => [hidden, lengths as number[]] as const),
  );

  for (const [name, make] of Object.entries(LAYERS))
    it.each(sizes)(`${name} of %i, sequences of %j`, (hidden, lengths) => {
      expectAgreement(executor(), () => computed(make, hidden, lengths));
    });

  it("more terms than are added in a row", () => {
    for (const make of [LAYERS.LSTM, LAYERS.GRU, LAYERS.tanh])
      expectAgreement(executor(), () => computed(make, 300, [3, 3, 2]));
  });

  it("a sequence has the same numbers whichever thread computes it", () => {
    const layer = new nn.LSTM(3, 20);
    const one = numbers([6, 1, 3], 5);
    const [alone] = layer(one);
    for (const copies of [2, 5, 13, 31]) {
      const [together] = layer(one.repeat(1, copies, 1));
      for (const i of [0, copies - 1]) expect(together.select(1, i).equal(alone.select(1, 0))).toBe(true);
    }
  });
});
