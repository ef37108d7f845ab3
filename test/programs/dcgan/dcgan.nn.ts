// A DCGAN: transposed convolutions draw, convolutions judge, both with weights drawn again
import { torch, nn, optim, data, format, print, type Tensor } from "layerwise";

torch.manualSeed(999);
export const losses: number[] = [];
export const checks: Record<string, number[]> = { "D(x)": [], "D(G(z))": [] };

const [nz, ngf, ndf, nc] = [8, 8, 8, 1];
const [batchSize, imageSize] = [16, 16];
const nImages = 64;
const numEpochs = 5;

// Discs of any place and size, from -1 to 1.
const [ys, xs] = torch.meshgrid(torch.arange(imageSize), torch.arange(imageSize), { indexing: "ij" });
const centres = torch.rand(nImages, 2, 1, 1).mul(8).add(4);
const radii = torch.rand(nImages, 1, 1).mul(3).add(2);
const distance = ys
  .sub(centres.index(":", 0))
  .pow(2)
  .add(xs.sub(centres.index(":", 1)).pow(2))
  .sqrt();
const images = torch.where(distance.lt(radii), 1.0, -1.0).float().unsqueeze(1);
const dataloader = new data.DataLoader(new data.TensorDataset(images), { batchSize, shuffle: true });

function weightsInit(m: nn.Module): void {
  const classname = m.constructor.name;
  const { weight, bias } = m as nn.Conv2d;
  if (classname.includes("Conv")) {
    nn.init.normal_(weight.data, 0.0, 0.02);
  } else if (classname.includes("BatchNorm")) {
    nn.init.normal_(weight.data, 1.0, 0.02);
    nn.init.constant_(bias!.data, 0);
  }
}

class Generator extends nn.Module {
  main = new nn.Sequential(
    // input is Z, going into a convolution
    new nn.ConvTranspose2d(nz, ngf * 2, 4, 1, 0, { bias: false }),
    new nn.BatchNorm2d(ngf * 2),
    new nn.ReLU(true),
    // state size. (ngf*2) x 4 x 4
    new nn.ConvTranspose2d(ngf * 2, ngf, 4, 2, 1, { bias: false }),
    new nn.BatchNorm2d(ngf),
    new nn.ReLU(true),
    // state size. (ngf) x 8 x 8
    new nn.ConvTranspose2d(ngf, nc, 4, 2, 1, { bias: false }),
    new nn.Tanh(),
    // state size. (nc) x 16 x 16
  );

  forward(input: Tensor): Tensor {
    return this.main(input);
  }
}

class Discriminator extends nn.Module {
  main = new nn.Sequential(
    // input is (nc) x 16 x 16
    new nn.Conv2d(nc, ndf, 4, 2, 1, { bias: false }),
    new nn.LeakyReLU(0.2, { inplace: true }),
    // state size. (ndf) x 8 x 8
    new nn.Conv2d(ndf, ndf * 2, 4, 2, 1, { bias: false }),
    new nn.BatchNorm2d(ndf * 2),
    new nn.LeakyReLU(0.2, { inplace: true }),
    // state size. (ndf*2) x 4 x 4
    new nn.Conv2d(ndf * 2, 1, 4, 1, 0, { bias: false }),
    new nn.Sigmoid(),
  );

  forward(input: Tensor): Tensor {
    return this.main(input);
  }
}

const netG = new Generator();
netG.apply(weightsInit);
print(netG);
const netD = new Discriminator();
netD.apply(weightsInit);
print(netD);

const criterion = new nn.BCELoss();
const fixedNoise = torch.randn(4, nz, 1, 1);
const realLabel = 1.0;
const fakeLabel = 0.0;

const optimizerD = new optim.Adam(netD.parameters(), { lr: 0.002, betas: [0.5, 0.999] });
const optimizerG = new optim.Adam(netG.parameters(), { lr: 0.002, betas: [0.5, 0.999] });

for (let epoch = 0; epoch < numEpochs; epoch++) {
  let [errD, errG]: Tensor[] = [];
  let i = -1;
  for (const batch of dataloader) {
    i++;
    // (1) Update D network: maximize log(D(x)) + log(1 - D(G(z)))
    netD.zeroGrad();
    const real = batch[0];
    const bSize = real.size(0);
    const label = torch.full([bSize], realLabel, { dtype: torch.float });
    let output = netD(real).view(-1);
    const errDReal = criterion(output, label);
    errDReal.backward();
    const DX = output.mean().item();

    const noise = torch.randn(bSize, nz, 1, 1);
    const fake = netG(noise);
    label.fill_(fakeLabel);
    output = netD(fake.detach()).view(-1);
    const errDFake = criterion(output, label);
    errDFake.backward();
    const DGZ1 = output.mean().item();
    errD = errDReal.add(errDFake);
    optimizerD.step();

    // (2) Update G network: maximize log(D(G(z)))
    netG.zeroGrad();
    label.fill_(realLabel); // fake labels are real for generator cost
    output = netD(fake).view(-1);
    errG = criterion(output, label);
    errG.backward();
    const DGZ2 = output.mean().item();
    optimizerG.step();

    losses.push(errD.item());
    losses.push(errG.item());
    checks["D(x)"].push(DX);
    checks["D(G(z))"].push(DGZ1, DGZ2);
  }
  print(
    `[${epoch + 1}/${numEpochs}][${i + 1}/${dataloader.length}] ` +
      `Loss_D: ${format(errD.item(), ".2f")} Loss_G: ${format(errG.item(), ".2f")}`,
  );
}

const fake = torch.noGrad(() => netG(fixedNoise).detach().cpu());
checks.fixed = fake.mean({ dim: [1, 2, 3] }).tolist() as number[];
checks.running = (netG.main.get(1) as nn.BatchNorm2d).runningMean!.tolist() as number[];
