/** A model whose training lasts as long as a scenario of remote runs, however fast the machine. */
export const FILE = "far.nn.ts";

export const SOURCE = `import { torch, nn, optim, data, experiment } from "layerwise";

export default experiment({
  seed: 0,
  model: () => new nn.Sequential(new nn.Linear(10, 16), new nn.ReLU(), new nn.Linear(16, 2)),
  data: () => new data.TensorDataset(torch.randn(100, 10), torch.randint(0, 2, [100])),
  loss: new nn.CrossEntropyLoss(),
  optimizer: (parameters) => new optim.Adam(parameters, { lr: 0.01 }),
  batchSize: 20,
  validation: 0.2,
  epochs: 100000,
  callbacks: { onBatchEnd: () => new Promise((done) => setTimeout(done, 20)) },
});
`;
