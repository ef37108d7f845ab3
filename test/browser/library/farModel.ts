/** A model for scenarios of runs on other machines. */
export const FILE = "far.nn.ts";

/** Each epoch takes at least a tenth of a second, however fast the machine. A sweep of every combination has four trials. */
export const farModel = (
  epochs: number,
): string => `import { torch, nn, optim, data, experiment, sweep } from "layerwise";

export default experiment({
  seed: 0,
  sweep: { lr: sweep.choice(0.01, 0.001), width: sweep.choice(16, 8) },
  model: ({ width }) => new nn.Sequential(new nn.Linear(10, width), new nn.ReLU(), new nn.Linear(width, 2)),
  data: () => new data.TensorDataset(torch.randn(100, 10), torch.randint(0, 2, [100])),
  loss: new nn.CrossEntropyLoss(),
  optimizer: (parameters, { lr }) => new optim.Adam(parameters, { lr }),
  batchSize: 20,
  validation: 0.2,
  epochs: ${epochs},
  callbacks: { onBatchEnd: () => new Promise((done) => setTimeout(done, 25)) },
});
`;

/** A training that lasts as long as a scenario. */
export const SOURCE = farModel(100_000);
