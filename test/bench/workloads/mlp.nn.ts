import { experiment, nn, optim, torch } from "layerwise";
import { repeated, SETTINGS } from "./repeated.ts";

export default experiment({
  ...SETTINGS,
  model: () =>
    new nn.Sequential(
      new nn.Linear(784, 256),
      new nn.ReLU(),
      new nn.Linear(256, 128),
      new nn.ReLU(),
      new nn.Linear(128, 10),
    ),
  data: () => repeated(torch.randn(64, 784), torch.randint(0, 10, [64])),
  loss: new nn.CrossEntropyLoss(),
  optimizer: (parameters) => new optim.Adam(parameters, { lr: 0.001 }),
});
