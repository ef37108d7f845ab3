import { experiment, F, nn, optim, torch, type Tensor } from "layerwise";
import { repeated, SETTINGS } from "./repeated.ts";

export class CNN extends nn.Module {
  conv = new nn.Conv2d(1, 16, 3, { padding: 1 });
  pool = new nn.MaxPool2d(2, 2);
  fc = new nn.Linear(16 * 14 * 14, 10);

  forward(x: Tensor): Tensor {
    x = this.pool(F.relu(this.conv(x)));
    return this.fc(x.view(x.size(0), -1));
  }
}

export default experiment({
  ...SETTINGS,
  model: () => new CNN(),
  data: () => repeated(torch.randn(64, 1, 28, 28), torch.randint(0, 10, [64])),
  loss: new nn.CrossEntropyLoss(),
  optimizer: (parameters) => new optim.Adam(parameters, { lr: 0.001 }),
});
