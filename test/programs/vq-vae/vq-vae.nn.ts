/** A vector-quantised autoencoder (van den Oord et al., 2017); the quantiser is a function with its own gradient. */
import { F, nn, optim, print, torch, type Tensor } from "layerwise";

type Context = torch.FunctionCtx;

torch.manualSeed(19);
export const losses: number[] = [];
export const checks: Record<string, number[]> = {};
const [CODES, DIM, WIDTH, SIZE, N, STEPS] = [16, 4, 8, 8, 18, 30];

class VectorQuantization extends torch.autograd.Function {
  static forward(ctx: Context, inputs: Tensor, codebook: Tensor): Tensor {
    return torch.noGrad(() => {
      const flat = inputs.view(-1, codebook.size(1));
      const distances = torch.addmm(
        codebook
          .pow(2)
          .sum({ dim: 1 })
          .add(flat.pow(2).sum({ dim: 1, keepdim: true })),
        flat,
        codebook.t(),
        { alpha: -2.0, beta: 1.0 },
      );
      const indices = distances.min({ dim: 1 }).indices.view(inputs.shape.slice(0, -1));
      ctx.markNonDifferentiable(indices);
      return indices;
    });
  }

  static backward(): never {
    throw new Error("the quantiser is not differentiable");
  }
}

class StraightThrough extends torch.autograd.Function {
  static forward(ctx: Context, inputs: Tensor, codebook: Tensor): [Tensor, Tensor] {
    const indices = VectorQuantization.apply(inputs, codebook);
    const flat = indices.view(-1);
    ctx.saveForBackward(flat, codebook);
    const codes = torch.indexSelect(codebook, { dim: 0, index: flat }).viewAs(inputs);
    ctx.markNonDifferentiable(flat);
    return [codes, flat];
  }

  static backward(ctx: Context, gradOutput: Tensor): (Tensor | null)[] {
    let gradInputs: Tensor | null = null;
    let gradCodebook: Tensor | null = null;
    if (ctx.needsInputGrad[0]) gradInputs = gradOutput.clone();
    if (ctx.needsInputGrad[1]) {
      const [indices, codebook] = ctx.savedTensors as [Tensor, Tensor];
      const flat = gradOutput.contiguous().view(-1, codebook.size(1));
      gradCodebook = torch.zerosLike(codebook);
      gradCodebook.indexAdd_(0, indices, flat);
    }
    return [gradInputs, gradCodebook];
  }
}

class VQVAE extends nn.Module {
  encoder: nn.Sequential;
  codebook: nn.Embedding;
  decoder: nn.Sequential;

  constructor({ codes = CODES, dim = DIM } = {}) {
    super();
    this.encoder = new nn.Sequential(
      new nn.Conv2d(1, WIDTH, 4, 2, 1),
      new nn.ReLU(true),
      new nn.Conv2d(WIDTH, dim, 3, 1, 1),
    );
    this.codebook = new nn.Embedding(codes, dim);
    this.codebook.weight.data.uniform_(-1.0 / codes, 1.0 / codes);
    this.decoder = new nn.Sequential(
      new nn.Conv2d(dim, WIDTH, 3, 1, 1),
      new nn.ReLU(true),
      new nn.ConvTranspose2d(WIDTH, 1, 4, 2, 1),
      new nn.Sigmoid(),
    );
  }

  forward(x: Tensor): [Tensor, Tensor, Tensor, Tensor] {
    const zE = this.encoder(x).permute(0, 2, 3, 1).contiguous();
    const [zSt, indices] = StraightThrough.apply(zE, this.codebook.weight.detach());
    const zQ = torch.indexSelect(this.codebook.weight, { dim: 0, index: indices }).viewAs(zE);
    const xTilde = this.decoder(zSt.permute(0, 3, 1, 2));
    return [xTilde, zE, zQ, indices];
  }
}

const ramp = torch.linspace(0, 1, SIZE);
let images = torch.stack([
  ramp.expand(SIZE, SIZE),
  ramp.expand(SIZE, SIZE).t(),
  ramp.flip(0).expand(SIZE, SIZE),
]);
images = images
  .repeat(N / 3, 1, 1)
  .unsqueeze(1)
  .mul(torch.rand(N, 1, 1, 1).mul(0.5).add(0.5));
const model = new VQVAE();
const optimizer = new optim.Adam(model.parameters(), { lr: 5e-3 });
let indices!: Tensor;
for (let step = 0; step < STEPS; step++) {
  optimizer.zeroGrad();
  let [xTilde, zE, zQ]: Tensor[] = [];
  [xTilde, zE, zQ, indices] = model(images);
  const lossRecons = F.mseLoss(xTilde, images);
  const lossVq = F.mseLoss(zQ, zE.detach());
  const lossCommit = F.mseLoss(zE, zQ.detach());
  const loss = lossRecons.add(lossVq).add(lossCommit.mul(0.25));
  loss.backward();
  optimizer.step();
  losses.push(loss.item());
}
print("codes in use:", indices.unique().size(0));
checks["codebook"] = model.codebook.weight.index(0).tolist() as number[];
