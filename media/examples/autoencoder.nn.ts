// An autoencoder that squeezes an image of a digit into eight numbers and draws it again
import { nn, optim, data, experiment, type Tensor } from "layerwise";

export class Autoencoder extends nn.Module {
  encoder = new nn.Sequential(new nn.Linear(64, 32), new nn.ReLU(), new nn.Linear(32, 8));
  decoder = new nn.Sequential(new nn.Linear(8, 32), new nn.ReLU(), new nn.Linear(32, 64), new nn.Sigmoid());

  /** Images [N, 64] of pixels from 0 to 1, and the same again. */
  forward(x: Tensor): Tensor {
    return this.decoder(this.encoder(x));
  }
}

export default experiment({
  seed: 0,
  model: () => new Autoencoder(),
  // A sample of one tensor is its own target.
  data: () => new data.TensorDataset(data.digits().inputs.flatten(1)),
  validation: 0.2,
  loss: new nn.MSELoss(),
  optimizer: (parameters) => new optim.Adam(parameters, { lr: 0.003 }),
  batchSize: 64,
  epochs: 40,
});
