/** A mixture density network (Bishop, 1994) on the inverse of a wave, and points drawn from it. */
import { F, nn, optim, print, torch, type Tensor } from "layerwise";

torch.manualSeed(8);
export const losses: number[] = [];
export const checks: Record<string, number[]> = {};
const [N, HIDDEN, EPOCHS] = [200, 20, 50];
const ONE_DIV_SQRT_TWO_PI = 1.0 / Math.sqrt(2.0 * Math.PI);

class MDN extends nn.Module {
  z_h: nn.Sequential;
  z_pi: nn.Linear;
  z_mu: nn.Linear;
  z_sigma: nn.Linear;

  constructor({ nHidden, nGaussians }: { nHidden: number; nGaussians: number }) {
    super();
    this.z_h = new nn.Sequential(new nn.Linear(1, nHidden), new nn.Tanh());
    this.z_pi = new nn.Linear(nHidden, nGaussians);
    this.z_mu = new nn.Linear(nHidden, nGaussians);
    this.z_sigma = new nn.Linear(nHidden, nGaussians);
  }

  forward(x: Tensor): [pi: Tensor, mu: Tensor, sigma: Tensor] {
    const zH = this.z_h(x);
    const pi = F.softmax(this.z_pi(zH), -1);
    const mu = this.z_mu(zH);
    const sigma = torch.exp(this.z_sigma(zH));
    return [pi, mu, sigma];
  }
}

function gaussianDistribution(y: Tensor, mu: Tensor, sigma: Tensor): Tensor {
  let result = y.expandAs(mu).sub(mu).mul(torch.reciprocal(sigma));
  result = result.mul(result).mul(-0.5);
  return torch.exp(result).mul(torch.reciprocal(sigma)).mul(ONE_DIV_SQRT_TWO_PI);
}

function mdnLossFn(pi: Tensor, mu: Tensor, sigma: Tensor, y: Tensor): Tensor {
  let result = gaussianDistribution(y, mu, sigma).mul(pi);
  result = torch.sum(result, { dim: 1 });
  result = torch.log(result).neg();
  return torch.mean(result);
}

const t = torch.rand(N, 1).mul(20).sub(10);
const wave = torch.sin(t.mul(0.75)).mul(7.0).add(t.mul(0.5)).add(torch.randn(N, 1).mul(0.5));
const [x, y] = [wave, t];
const network = new MDN({ nHidden: HIDDEN, nGaussians: 5 });
const optimizer = new optim.Adam(network.parameters(), { lr: 1e-2 });
for (let epoch = 0; epoch < EPOCHS; epoch++) {
  const [pi, mu, sigma] = network(x);
  const loss = mdnLossFn(pi, mu, sigma, y);
  optimizer.zeroGrad();
  loss.backward();
  optimizer.step();
  losses.push(loss.item());
  if (epoch % 10 === 0) print(epoch, Math.round(loss.item() * 100) / 100);
}

torch.noGrad(() => {
  const [pi, mu, sigma] = network(torch.linspace(-12, 12, 9).unsqueeze(1));
  const component = torch.multinomial(pi, 1);
  const drawn = torch.normal(mu.gather(1, component), sigma.gather(1, component));
  print("components", component.flatten().tolist());
  checks["drawn"] = drawn.flatten().tolist() as number[];
});
