import { experiment, nn, optim, torch, type Tensor } from "layerwise";
import { repeated, SETTINGS } from "./repeated.ts";

export class LSTMClassifier extends nn.Module {
  rnn = new nn.LSTM(10, 5, { batchFirst: true });
  fc = new nn.Linear(5, 2);

  forward(x: Tensor): Tensor {
    const [out] = this.rnn(x);
    return this.fc(out.select(1, -1));
  }
}

export default experiment({
  ...SETTINGS,
  model: () => new LSTMClassifier(),
  data: () => repeated(torch.randn(32, 20, 10), torch.randint(0, 2, [32])),
  loss: new nn.CrossEntropyLoss(),
  optimizer: (parameters) => new optim.Adam(parameters, { lr: 0.001 }),
});
