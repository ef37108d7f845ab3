import { experiment, nn, optim, torch } from "layerwise";
import { repeated, SETTINGS } from "./repeated.ts";

export default experiment({
  ...SETTINGS,
  model: () => new nn.Sequential(new nn.Linear(784, 128), new nn.ReLU(), new nn.Linear(128, 10)),
  data: () => repeated(torch.rand(32, 784), torch.randint(0, 10, [32])),
  loss: new nn.CrossEntropyLoss(),
  optimizer: (parameters) => new optim.SGD(parameters, { lr: 0.01 }),
});
