// A Fourier neural operator that learns to solve a Poisson equation: weights of the lowest frequencies, products of complex numbers
import { torch, nn, F, optim, print, type Parameter, type Tensor } from "layerwise";

torch.manualSeed(0);
export const losses: number[] = [];

const [nTrain, nTest, size] = [16, 4, 16];
const [width, modes, nLayers] = [8, 4, 2];
const [batchSize, epochs] = [8, 12];

/** Smooth random sources on a periodic grid, and the solutions: each frequency divided by the square of its size. */
function makeData(n: number): [Tensor, Tensor] {
  const k = torch.fft.fftfreq(size, { d: 1 / size });
  const kHalf = torch.fft.rfftfreq(size, { d: 1 / size });
  const squares = k.index(":", null).pow(2).add(kHalf.index(null, ":").pow(2));
  const noise = torch.fft.rfft2(torch.randn(n, size, size), { norm: "ortho" });
  const source = noise.mul(torch.exp(squares.neg().div(20)));
  source.indexPut_([":", 0, 0], 0);
  squares.indexPut_([0, 0], 1);
  return [
    torch.fft.irfft2(source, { norm: "ortho" }),
    torch.fft.irfft2(source.div(squares), { norm: "ortho" }).mul(4),
  ];
}

class SpectralConv2d extends nn.Module {
  outChannels: number;
  modes: number;
  weight1: Parameter;
  weight2: Parameter;

  constructor(inChannels: number, outChannels: number, modes: number) {
    super();
    [this.outChannels, this.modes] = [outChannels, modes];
    const scale = 1 / (inChannels * outChannels);
    const shape = [inChannels, outChannels, modes, modes, 2];
    this.weight1 = new nn.Parameter(torch.rand(shape).mul(scale));
    this.weight2 = new nn.Parameter(torch.rand(shape).mul(scale));
  }

  complMul2d(input: Tensor, weight: Tensor): Tensor {
    return torch.einsum("bixy,ioxy->boxy", input, torch.viewAsComplex(weight));
  }

  forward(x: Tensor): Tensor {
    const m = this.modes;
    const xFt = torch.fft.rfft2(x);
    const outFt = torch.zeros(x.size(0), this.outChannels, x.size(-2), Math.floor(x.size(-1) / 2) + 1, {
      dtype: torch.cfloat,
    });
    outFt.indexPut_(
      [":", ":", `:${m}`, `:${m}`],
      this.complMul2d(xFt.index(":", ":", `:${m}`, `:${m}`), this.weight1),
    );
    outFt.indexPut_(
      [":", ":", `${-m}:`, `:${m}`],
      this.complMul2d(xFt.index(":", ":", `${-m}:`, `:${m}`), this.weight2),
    );
    return torch.fft.irfft2(outFt, { s: [x.size(-2), x.size(-1)] });
  }
}

class FNO2d extends nn.Module {
  fc0: nn.Linear;
  spectral: nn.ModuleList<SpectralConv2d>;
  pointwise: nn.ModuleList<nn.Conv2d>;
  fc1: nn.Linear;
  fc2: nn.Linear;

  constructor(width: number, modes: number, nLayers: number) {
    super();
    this.fc0 = new nn.Linear(3, width);
    const layers = Array.from({ length: nLayers });
    this.spectral = new nn.ModuleList(layers.map(() => new SpectralConv2d(width, width, modes)));
    this.pointwise = new nn.ModuleList(layers.map(() => new nn.Conv2d(width, width, 1)));
    this.fc1 = new nn.Linear(width, 32);
    this.fc2 = new nn.Linear(32, 1);
  }

  grid(x: Tensor): Tensor {
    const line = torch.linspace(0, 1, x.size(1));
    const [gx, gy] = torch.meshgrid(line, line, { indexing: "ij" }) as [Tensor, Tensor];
    return torch.stack([gx, gy], { dim: -1 }).expand(x.size(0), -1, -1, -1);
  }

  forward(x: Tensor): Tensor {
    x = torch.cat([x.unsqueeze(-1), this.grid(x)], { dim: -1 });
    x = this.fc0(x).permute(0, 3, 1, 2);
    for (const [i, spectral] of [...this.spectral].entries()) {
      x = spectral(x).add(this.pointwise.at(i)(x));
      if (i < this.spectral.length - 1) x = F.gelu(x);
    }
    x = x.permute(0, 2, 3, 1);
    return this.fc2(F.gelu(this.fc1(x))).squeeze(-1);
  }
}

function relativeError(output: Tensor, target: Tensor): Tensor {
  const difference = torch.linalg.vectorNorm(output.sub(target), { dim: [1, 2] });
  return difference.div(torch.linalg.vectorNorm(target, { dim: [1, 2] })).mean();
}

const [sources, solutions] = makeData(nTrain + nTest);
const model = new FNO2d(width, modes, nLayers);
print(model);
const optimizer = new optim.Adam(model.parameters(), { lr: 5e-3, weightDecay: 1e-4 });

for (let epoch = 0; epoch < epochs; epoch++) {
  for (let first = 0; first < nTrain; first += batchSize) {
    const batch = `${first}:${first + batchSize}`;
    optimizer.zeroGrad();
    const loss = relativeError(model(sources.index(batch)), solutions.index(batch));
    loss.backward();
    optimizer.step();
    losses.push(loss.item());
  }
}

const { output, spectrum } = torch.noGrad(() => {
  const output = model(sources.index(`${nTrain}:`));
  const spectrum = torch.fft.fftshift(torch.fft.fft2(output).abs(), { dim: [1, 2] }).mean(0);
  return { output, spectrum };
});
export const checks = {
  test: [relativeError(output, solutions.index(`${nTrain}:`)).item()],
  spectrum: spectrum.index(size / 2).tolist() as number[],
  gradient: [model.spectral.at(0).weight1.grad!.norm().item()],
};
