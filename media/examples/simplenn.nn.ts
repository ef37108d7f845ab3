// A network of two layers on synthetic data: the smallest experiment
import { torch, nn, optim, data, experiment, type Tensor } from "layerwise";

export class SimpleNN extends nn.Module {
  fc1: nn.Linear;
  relu: nn.ReLU;
  fc2: nn.Linear;

  constructor(inputSize: number, hiddenSize: number, outputSize: number) {
    super();
    this.fc1 = new nn.Linear(inputSize, hiddenSize);
    this.relu = new nn.ReLU();
    this.fc2 = new nn.Linear(hiddenSize, outputSize);
  }

  forward(x: Tensor): Tensor {
    x = this.fc1(x);
    x = this.relu(x);
    return this.fc2(x);
  }
}

export default experiment({
  seed: 0,
  model: () => new SimpleNN(10, 5, 2),
  data: () => new data.TensorDataset(torch.randn(100, 10), torch.randint(0, 2, [100])),
  loss: new nn.CrossEntropyLoss(),
  optimizer: (parameters) => new optim.Adam(parameters, { lr: 0.001 }),
  epochs: 100,
});
