// A GAN that learns to draw handwritten digits: a generator and a discriminator trained against each other
import { torch, nn, F, optim, data, experiment, type Tensor } from "layerwise";

const LATENT = 32;
const bce = new nn.BCEWithLogitsLoss();

/** Noise [N, 32] to images [N, 1, 8, 8] of pixels from 0 to 1. */
export class Generator extends nn.Module {
  layers = new nn.Sequential(
    new nn.Linear(LATENT, 128),
    new nn.BatchNorm1d(128),
    new nn.ReLU(),
    new nn.Linear(128, 256),
    new nn.BatchNorm1d(256),
    new nn.ReLU(),
    new nn.Linear(256, 64),
    new nn.Sigmoid(),
  );

  forward(z: Tensor): Tensor {
    return this.layers(z).view(-1, 1, 8, 8);
  }
}

/** Images [N, 1, 8, 8] to a score [N, 1]: above 0, the image is classified as real. */
export class Discriminator extends nn.Module {
  layers = new nn.Sequential(
    new nn.Flatten(),
    new nn.Linear(64, 256),
    new nn.LeakyReLU(0.2),
    new nn.Dropout(0.3),
    new nn.Linear(256, 128),
    new nn.LeakyReLU(0.2),
    new nn.Dropout(0.3),
    new nn.Linear(128, 1),
  );

  forward(x: Tensor): Tensor {
    return this.layers(x);
  }
}

export class GAN extends nn.Module {
  generator = new Generator();
  discriminator = new Discriminator();

  /** As many new images as there are real ones. */
  forward(real: Tensor): Tensor {
    return this.generator(torch.randn(real.size(0), LATENT));
  }
}

/** Mean distance (root mean square of pixels) of a batch's images to the most similar image of another batch. */
function distance(from: Tensor, to: Tensor): Tensor {
  return torch.cdist(from.flatten(1), to.flatten(1)).amin(1).mean().div(8);
}

// The same noise for each picture, so that the pictures show how the digits form.
const noise = torch.randn(64, LATENT, { generator: new torch.Generator().manualSeed(0) });

function draw(generator: Generator): void {
  generator.eval();
  const images = torch.noGrad(() => generator(noise));
  data.saveImage(F.interpolate(images, { scaleFactor: 4 }), "gan-samples.png");
  generator.train();
}

// What to expect: after 100 epochs, "gan-samples.png" shows digits. The mean distance of a held-out digit to the nearest of 64
// generated ones is 0.23 (`val_coverage`), like that of a generated digit to the nearest held-out one (`val_realism`). Between
// real digits it is 0.21; noise with the mean and covariance of digits has 0.24, noise of independent pixels 0.30.

export default experiment({
  seed: 1,
  model: () => new GAN(),
  data: () => new data.TensorDataset(data.digits().inputs),
  validation: 0.2,
  optimizer: (_, { generator, discriminator }) => ({
    generator: new optim.Adam(generator.parameters(), { lr: 0.0005, betas: [0.5, 0.999] }),
    discriminator: new optim.Adam(discriminator.parameters(), { lr: 0.0005, betas: [0.5, 0.999] }),
  }),
  trainStep({ model: { generator, discriminator }, batch: [real], optimizer }) {
    const n = real!.size(0);
    const [ones, zeros] = [torch.ones(n, 1), torch.zeros(n, 1)];

    // The discriminator learns to tell real images from generated ones.
    const fake = generator(torch.randn(n, LATENT));
    optimizer.discriminator.zeroGrad();
    const lossD = bce(discriminator(real!), ones).add(bce(discriminator(fake.detach()), zeros));
    lossD.backward();
    optimizer.discriminator.step();

    // The generator learns to fool the discriminator.
    optimizer.generator.zeroGrad();
    const lossG = bce(discriminator(fake), ones);
    lossG.backward();
    optimizer.generator.step();
    return { discriminator: lossD, generator: lossG };
  },
  metrics: {
    coverage: (fake, real) => distance(real, fake),
    realism: (fake, real) => distance(fake, real),
  },
  callbacks: {
    onEpochEnd({ model, epoch, epochs }) {
      if (epoch % 10 === 0 || epoch === epochs) draw(model.generator);
    },
  },
  batchSize: 64,
  epochs: 100,
});
