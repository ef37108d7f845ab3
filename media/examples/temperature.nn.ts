// A recurrent network that predicts tomorrow's highest temperature from the last two weeks
import { nn, optim, data, experiment, type Tensor } from "layerwise";

export class TemperatureRNN extends nn.Module {
  rnn = new nn.RNN(4, 32, { batchFirst: true });
  fc = new nn.Linear(32, 1);

  /** Fourteen days of four measures [N, 14, 4] to the next day's temperature [N, 1]. */
  forward(x: Tensor): Tensor {
    const [out] = this.rnn(x);
    return this.fc(out.select(1, -1));
  }
}

// Daily rain, highest and lowest temperature and wind in Seattle, normalized by the training part's statistics.
const days = new data.WindowDataset(data.weather(), {
  window: 14,
  target: "temp_max",
  normalize: "standard",
});

// What to expect: a mean error of 2.25 °C on the last 20 % of the days, which follow the training days. Linear regression has
// 2.28 °C, predicting today's temperature for tomorrow 2.35 °C, predicting the mean 6.5 °C: weather is hard.
export default experiment({
  seed: 0,
  model: () => new TemperatureRNN(),
  data: () => {
    const [train, validation] = days.split([0.8, 0.2]);
    return { train: train!, validation: validation! };
  },
  loss: new nn.MSELoss(),
  metrics: {
    celsius: (output, target) => days.unscale(output).sub(days.unscale(target)).abs().mean(),
  },
  optimizer: (parameters) => new optim.AdamW(parameters, { lr: 0.003 }),
  lrScheduler: (optimizer) => new optim.lrScheduler.ExponentialLR(optimizer, 0.9),
  batchSize: 32,
  epochs: 30,
});
