/** Differentially private SGD (Abadi et al., 2016): the gradient of every sample, by vmap, is clipped and noised. */
import { F, nn, print, torch, type Tensor } from "layerwise";

const { functionalCall, grad, gradAndValue, vmap } = torch.func;

torch.manualSeed(23);
export const losses: number[] = [];
export const checks: Record<string, number[]> = {};
const [FEATURES, HIDDEN, N, STEPS] = [6, 12, 24, 15];

class SimpleMLP extends nn.Module {
  fc1 = new nn.Linear(FEATURES, HIDDEN);
  norm = new nn.LayerNorm(HIDDEN);
  fc2 = new nn.Linear(HIDDEN, 3);

  forward(x: Tensor): Tensor {
    return this.fc2(torch.tanh(this.norm(this.fc1(x))));
  }
}

type Params = Record<string, Tensor>;

const model = new SimpleMLP();
const x = torch.randn(N, FEATURES);
const y = x.index(":", ":3").argmax(1);
const params: Params = Object.fromEntries([...model.namedParameters()].map(([k, v]) => [k, v.detach()]));

function computeLoss(params: Params, sample: Tensor, target: Tensor): Tensor {
  const batch = sample.unsqueeze(0);
  const targets = target.unsqueeze(0);
  const predictions = functionalCall(model, params, [batch]);
  return F.crossEntropy(predictions, targets);
}

const ftComputeSampleGrad = vmap(gradAndValue(computeLoss), { inDims: [null, 0, 0] });
let norms = x;
for (let step = 0; step < STEPS; step++) {
  const [perSample, value] = ftComputeSampleGrad(params, x, y);
  norms = torch.stack(Object.values(perSample).map((g) => g.flatten(1).norm({ dim: 1 }))).norm({ dim: 0 });
  const factor = torch.div(1.0, norms.add(1e-6)).clamp({ max: 1.0 });
  for (const [k, g] of Object.entries(perSample)) {
    const clipped = torch.einsum("b,b...->...", factor, g);
    const noise = torch.randnLike(clipped).mul(0.1);
    params[k] = params[k].sub(clipped.add(noise).mul(0.5).div(x.size(0)));
  }
  losses.push(value.mean().item());
}
checks["norms"] = norms.index(":6").tolist() as number[];
const one = grad(computeLoss)(params, x.index(0), y.index(0));
const all = vmap(grad(computeLoss), [null, 0, 0])(params, x, y);
print("equal", torch.allclose(all["fc1.weight"].index(0), one["fc1.weight"], { atol: 1e-6 }));
