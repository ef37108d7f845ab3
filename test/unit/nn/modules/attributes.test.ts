// Attributes that programs change after a layer was made: its forward reads them at each call, as in PyTorch.
import { expect, test } from "vitest";
import { nn, optim, torch } from "../../../../extension/nn/index.ts";
import { useEngine } from "../../../engines.ts";

useEngine("cpu");

test("convolutions and pools take another stride, padding and dilation", () => {
  const image = torch.randn(1, 2, 9, 9);
  const conv = new nn.Conv2d(2, 2, 3);
  expect(conv.forward(image).shape).toEqual([1, 2, 7, 7]);
  [conv.stride, conv.padding, conv.dilation] = [
    [2, 2],
    [1, 1],
    [2, 2],
  ];
  expect(conv.forward(image).shape).toEqual([1, 2, 4, 4]);
  const zeros = conv.forward(image);
  conv.paddingMode = "circular";
  expect(conv.forward(image).shape).toEqual([1, 2, 4, 4]);
  expect(torch.equal(conv.forward(image), zeros)).toBe(false);
  const pool = new nn.MaxPool2d(2);
  pool.ceilMode = true;
  expect(pool.forward(image).shape).toEqual([1, 2, 5, 5]);
  const up = new nn.Upsample({ scaleFactor: 2 });
  up.scaleFactor = 3;
  expect(up.forward(image).shape).toEqual([1, 2, 27, 27]);
});

test("layers of norms, embeddings and sequences too", () => {
  const x = torch.tensor([[1, 3]]).float();
  const norm = new nn.LayerNorm(2);
  norm.eps = 3;
  expect(norm.forward(x).tolist()).toEqual([[-0.5, 0.5]]);
  const batch = new nn.BatchNorm1d(2).eval();
  batch.eps = 3;
  expect(batch.forward(x).tolist()).toEqual([[0.5, 1.5]]);
  const embedding = new nn.Embedding(3, 1);
  embedding.paddingIdx = 1;
  embedding
    .forward(torch.tensor([0, 1]))
    .sum()
    .backward();
  expect(embedding.weight.grad!.tolist()).toEqual([[1], [0], [0]]);
  const lstm = new nn.LSTM(2, 3);
  lstm.batchFirst = true;
  expect(lstm.forward(torch.zeros(4, 5, 2))[1][0].shape).toEqual([1, 4, 3]);
  const relu = new nn.ReLU({ inplace: true });
  relu.inplace = false;
  const negative = torch.tensor([-1]).float();
  expect([relu.forward(negative).item(), negative.item()]).toEqual([0, -1]);
  const loss = new nn.MSELoss();
  loss.reduction = "sum";
  expect(loss.forward(x, torch.zeros(1, 2)).item()).toBe(10);
  const entropy = new nn.CrossEntropyLoss();
  const smooth = entropy.forward(x, torch.tensor([0])).item();
  entropy.labelSmoothing = 1;
  expect(entropy.forward(x, torch.tensor([0])).item()).toBeCloseTo(smooth - 1, 5);
});

test("dropout changes between equal steps of a training", () => {
  const dropout = new nn.Dropout(0.5);
  const weight = new nn.Parameter(torch.ones(1000));
  const optimizer = new optim.SGD([weight], { lr: 0 });
  const kept = [0.5, 0.5, 0.5, 0, 1].map((p) => {
    dropout.p = p;
    optimizer.zeroGrad();
    const y = dropout.forward(weight);
    y.sum().backward();
    optimizer.step();
    return y.gt(0).sum().item();
  });
  for (const count of kept.slice(0, 3)) expect(Math.abs(count - 500)).toBeLessThan(100);
  expect(kept.slice(3)).toEqual([1000, 0]);
});

test("layers have the attributes that PyTorch's have", () => {
  const pool = new nn.AvgPool2d(3, { padding: 1, countIncludePad: false });
  const { kernelSize, stride, padding, ceilMode, countIncludePad, divisorOverride } = pool;
  const stated = { kernelSize, stride, padding, ceilMode, countIncludePad, divisorOverride };
  const size = { kernelSize: 3, stride: 3, padding: 1 };
  expect(stated).toEqual({ ...size, ceilMode: false, countIncludePad: false, divisorOverride: null });
  expect([new nn.AvgPool1d(2).stride, new nn.AvgPool1d(2).padding]).toEqual([[2], [0]]);
  pool.stride = 1;
  expect([...pool(torch.ones(1, 1, 3, 3)).shape]).toEqual([1, 1, 3, 3]);
  const modes = [
    new nn.LSTM(2, 3),
    new nn.GRU(2, 3),
    new nn.RNN(2, 3),
    new nn.RNN(2, 3, { nonlinearity: "relu" }),
  ];
  expect(modes.map(({ mode }) => mode)).toEqual(["LSTM", "GRU", "RNN_TANH", "RNN_RELU"]);
  expect([new nn.PReLU(3, 0.5).numParameters, new nn.PReLU(3, 0.5).init]).toEqual([3, 0.5]);
  expect([new nn.ReLU6().minVal, new nn.ReLU6().maxVal]).toEqual([0, 6]);
  const [conv, back] = [new nn.Conv2d(1, 1, 2), new nn.ConvTranspose2d(1, 1, 2)];
  expect([conv.transposed, back.transposed, back.paddingMode]).toEqual([false, true, "zeros"]);
  expect(conv.outputPadding).toEqual([0, 0]);
});
