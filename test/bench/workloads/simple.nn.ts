import { experiment, nn, optim, torch } from "layerwise";
import { repeated, SETTINGS } from "./repeated.ts";

export default experiment({
  ...SETTINGS,
  model: () => new nn.Sequential(new nn.Linear(10, 5), new nn.ReLU(), new nn.Linear(5, 2)),
  data: () => repeated(torch.randn(100, 10), torch.randint(0, 2, [100])),
  loss: new nn.CrossEntropyLoss(),
  optimizer: (parameters) => new optim.Adam(parameters, { lr: 0.001 }),
});
