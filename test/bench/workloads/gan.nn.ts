import { experiment, nn, optim, torch, type Tensor } from "layerwise";
import { repeated, SETTINGS } from "./repeated.ts";

export class GAN extends nn.Module {
  generator = new nn.Sequential(new nn.Linear(100, 784), new nn.Tanh());
  discriminator = new nn.Sequential(new nn.Linear(784, 128), new nn.LeakyReLU(0.2), new nn.Linear(128, 1));

  forward(z: Tensor): Tensor {
    return this.generator(z);
  }
}

const criterion = new nn.BCEWithLogitsLoss();

export default experiment({
  ...SETTINGS,
  model: () => new GAN(),
  data: () => repeated(torch.rand(64, 784)),
  optimizer: (_, { generator, discriminator }) => ({
    g: new optim.Adam(generator.parameters(), { lr: 2e-4 }),
    d: new optim.Adam(discriminator.parameters(), { lr: 2e-4 }),
  }),
  trainStep({ model, batch, optimizer }) {
    const [real] = batch;
    const z = torch.randn(64, 100);
    const fake = model.generator(z);
    optimizer.d.zeroGrad();
    const lossD = criterion(model.discriminator(real!), torch.ones(64, 1)).add(
      criterion(model.discriminator(fake.detach()), torch.zeros(64, 1)),
    );
    lossD.backward();
    optimizer.d.step();
    optimizer.g.zeroGrad();
    const lossG = criterion(model.discriminator(fake), torch.ones(64, 1));
    lossG.backward();
    optimizer.g.step();
    return { loss: lossD.add(lossG) };
  },
});
