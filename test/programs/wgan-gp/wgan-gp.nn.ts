// A Wasserstein GAN with gradient penalty: the critic's gradients are differentiated again
import { torch, nn, optim, format, print, type Tensor } from "layerwise";

torch.manualSeed(1);
export const losses: number[] = [];
export const checks: Record<string, number[]> = { wasserstein: [], penalty: [] };

const DIM = 24; // Model dimensionality
const LAMBDA = 0.1; // Smaller lambda seems to help for toy tasks specifically
const CRITIC_ITERS = 3; // How many critic iterations per generator iteration
const BATCH_SIZE = 32;
const ITERS = 12;

class Generator extends nn.Module {
  main = new nn.Sequential(
    new nn.Linear(2, DIM),
    new nn.ReLU(true),
    new nn.Linear(DIM, DIM),
    new nn.ReLU(true),
    new nn.Linear(DIM, 2),
  );

  forward(noise: Tensor): Tensor {
    return this.main(noise);
  }
}

class Discriminator extends nn.Module {
  main = new nn.Sequential(
    new nn.Linear(2, DIM),
    new nn.Tanh(),
    new nn.Linear(DIM, DIM),
    new nn.LeakyReLU(0.2, true),
    new nn.Linear(DIM, 1),
  );

  forward(inputs: Tensor): Tensor {
    const output = this.main(inputs);
    return output.view(-1);
  }
}

function weightsInit(m: nn.Module): void {
  if (m instanceof nn.Linear) {
    m.weight.data.normal_(0.0, 0.2);
    m.bias!.data.fill_(0);
  }
}

/** Eight gaussians on a circle. */
function* infTrainGen(): globalThis.Generator<Tensor, never> {
  const angles = torch.arange(8).mul(Math.PI / 4);
  const centers = torch.stack([angles.cos(), angles.sin()], { dim: 1 }).mul(2.0);
  while (true) {
    const points = torch.randn(BATCH_SIZE, 2).mul(0.02);
    points.add_(centers.index(torch.randint(8, [BATCH_SIZE])));
    yield points.div(1.414);
  }
}

function calcGradientPenalty(netD: Discriminator, realData: Tensor, fakeData: Tensor): Tensor {
  let alpha = torch.rand(BATCH_SIZE, 1);
  alpha = alpha.expand(realData.size());

  const interpolates = alpha.mul(realData).add(alpha.neg().add(1).mul(fakeData));
  interpolates.requiresGrad_(true);

  const discInterpolates = netD(interpolates);

  const [gradients] = torch.autograd.grad({
    outputs: discInterpolates,
    inputs: interpolates,
    gradOutputs: torch.ones(discInterpolates.size()),
    createGraph: true,
    retainGraph: true,
    onlyInputs: true,
  });

  const gradientPenalty = gradients.norm(2, { dim: 1 }).sub(1).pow(2).mean().mul(LAMBDA);
  return gradientPenalty;
}

const netG = new Generator();
const netD = new Discriminator();
netD.apply(weightsInit);
netG.apply(weightsInit);

const optimizerD = new optim.Adam(netD.parameters(), { lr: 1e-2, betas: [0.5, 0.9] });
const optimizerG = new optim.Adam(netG.parameters(), { lr: 1e-2, betas: [0.5, 0.9] });

const one = torch.tensor(1, { dtype: torch.float });
const mone = one.mul(-1);

const data = infTrainGen();

for (let iteration = 0; iteration < ITERS; iteration++) {
  // (1) Update D network
  for (const p of netD.parameters()) {
    // reset requiresGrad
    p.requiresGrad = true; // they are set to false below in netG update
  }

  let DCost!: Tensor;
  for (let iterD = 0; iterD < CRITIC_ITERS; iterD++) {
    const realData = data.next().value;
    netD.zeroGrad();

    // train with real
    let DReal = netD(realData);
    DReal = DReal.mean();
    DReal.backward(mone);

    // train with fake
    const noise = torch.randn(BATCH_SIZE, 2);
    const fake = torch.noGrad(() => {
      const noisev = noise; // totally freeze netG
      return netG(noisev);
    });
    let DFake = netD(fake);
    DFake = DFake.mean();
    DFake.backward(one);

    // train with gradient penalty
    const gradientPenalty = calcGradientPenalty(netD, realData.data, fake.data);
    gradientPenalty.backward();

    DCost = DFake.sub(DReal).add(gradientPenalty);
    const WassersteinD = DReal.sub(DFake);
    optimizerD.step();
    losses.push(DCost.item());
    checks.wasserstein.push(WassersteinD.item());
    checks.penalty.push(gradientPenalty.item());
  }

  // (2) Update G network
  for (const p of netD.parameters()) p.requiresGrad = false; // to avoid computation
  netG.zeroGrad();

  const noise = torch.randn(BATCH_SIZE, 2);
  const fake = netG(noise);
  let G = netD(fake);
  G = G.mean();
  G.backward(mone);
  const GCost = G.neg();
  optimizerG.step();
  losses.push(GCost.item());
  if (iteration % 4 === 3)
    print(
      `iteration ${iteration + 1}: critic ${format(DCost.item(), ".2f")}, generator ${format(GCost.item(), ".2f")}`,
    );
}
