import { experiment, nn, optim, torch } from "layerwise";
import { repeated, SETTINGS } from "./repeated.ts";

export default experiment({
  ...SETTINGS,
  model: () =>
    new nn.Sequential(new nn.Linear(784, 128), new nn.ReLU(), new nn.Linear(128, 784), new nn.Sigmoid()),
  data: () => repeated(torch.rand(64, 784), torch.rand(64, 784)),
  loss: new nn.MSELoss(),
  optimizer: (parameters) => new optim.Adam(parameters, { lr: 0.001 }),
});
