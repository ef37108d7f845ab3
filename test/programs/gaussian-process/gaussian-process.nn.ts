/** Gaussian process regression by gradient: its likelihood by five ways of linear algebra, then the posterior. */
import { torch, nn, print, format, type Tensor } from "layerwise";
const { MultivariateNormal } = torch.distributions;
torch.manualSeed(13);
export const losses: number[] = [];
export const checks: Record<string, number[]> = {};

class GP extends nn.Module {
  raw_lengthscale: nn.Parameter;
  raw_outputscale: nn.Parameter;
  raw_noise: nn.Parameter;
  declare jitter: Tensor;
  constructor(
    readonly x: Tensor,
    readonly y: Tensor,
  ) {
    super();
    this.raw_lengthscale = new nn.Parameter(torch.zeros(1));
    this.raw_outputscale = new nn.Parameter(torch.tensor(0.0).float());
    this.raw_noise = new nn.Parameter(torch.tensor(-2.0).float());
    this.registerBuffer("jitter", torch.eye(x.size(0)).mul(1e-5));
  }
  get lengthscale() {
    return nn.functional.softplus(this.raw_lengthscale);
  }
  kernel(a: Tensor, b: Tensor) {
    const d = a.unsqueeze(-2).sub(b.unsqueeze(-3)).div(this.lengthscale).pow(2).sum(-1);
    return this.raw_outputscale.exp().mul(torch.exp(d.mul(-0.5)));
  }
  covariance() {
    let K = this.kernel(this.x, this.x);
    K = K.add(this.jitter);
    K.diagonal().add_(this.raw_noise.exp());
    return K;
  }
  nll(how: string): Tensor {
    const K = this.covariance();
    const n = this.x.shape[0];
    const c = 0.5 * n * Math.log(2 * Math.PI);
    if (how === "cholesky") {
      const L = torch.linalg.cholesky(K);
      const alpha = torch.choleskySolve(this.y.unsqueeze(1), L);
      return this.y.mul(0.5).matmul(alpha.squeeze(1)).add(L.diagonal().log().sum()).add(c);
    }
    if (how === "solve")
      return this.y.dot(torch.linalg.solve(K, this.y)).mul(0.5).add(torch.logdet(K).mul(0.5)).add(c);
    if (how === "triangular") {
      const L = torch.linalg.cholesky(K);
      const v = torch.linalg.solveTriangular(L, this.y.index(":", null), { upper: false });
      return v
        .pow(2)
        .sum()
        .mul(0.5)
        .add(torch.log(torch.diag(L)).sum())
        .add(c);
    }
    if (how === "inverse") {
      const [, logabs] = torch.linalg.slogdet(K);
      return this.y.matmul(torch.linalg.inv(K)).matmul(this.y).mul(0.5).add(logabs.mul(0.5)).add(c);
    }
    return new MultivariateNormal(torch.zeros(n), { covarianceMatrix: K }).logProb(this.y).neg();
  }
  posterior(xs: Tensor): [Tensor, Tensor] {
    const L = torch.linalg.cholesky(this.covariance());
    const Ks = this.kernel(this.x, xs);
    const mean = Ks.T.matmul(torch.choleskySolve(this.y.index(":", null), L));
    const v = torch.linalg.solveTriangular(L, Ks, { upper: false });
    const cov = this.kernel(xs, xs).sub(v.mT.matmul(v));
    return [mean.squeeze(), cov];
  }
}

const x = torch.sort(torch.rand(14, 1).mul(6), { dim: 0 }).values;
const y = torch.sin(x).squeeze(-1).add(torch.randn(14).mul(0.1));
const gp = new GP(x, y);
const optimizer = new torch.optim.Adam(
  [{ params: [gp.raw_lengthscale, gp.raw_outputscale] }, { params: gp.raw_noise, lr: 0.02 }],
  { lr: 0.05 },
);
for (const how of ["cholesky", "solve", "triangular", "inverse", "distribution"]) {
  let loss!: Tensor;
  for (let i = 0; i < 4; i++) {
    optimizer.zeroGrad();
    loss = gp.nll(how);
    loss.backward();
    optimizer.step();
    losses.push(loss.item());
  }
  print(`${format(how, ">12")}: ${format(loss.item(), "8.2f")} ${format(gp.lengthscale.item(), ".3f")}`);
}
torch.noGrad(() => {
  const xs = torch.linspace(0, 6, 5).unsqueeze(1);
  const [mean, cov] = gp.posterior(xs);
  checks["mean"] = mean.tolist() as number[];
  checks["std"] = cov.diagonal().clampMin(0).sqrt().tolist() as number[];
  const L = torch.linalg.cholesky(cov.add(torch.eye(5).mul(1e-3)));
  const sample = mean.add(L.matmul(torch.randn(5)));
  checks["sample"] = sample.tolist() as number[];
  const [evals] = torch.linalg.eigh(cov);
  checks["evals"] = evals.tolist() as number[];
  checks["cond"] = [
    torch.linalg.norm(cov).item(),
    torch.linalg.det(cov.add(torch.eye(5))).item(),
    torch.trace(cov).item(),
  ];
  const A = torch.randn(6, 3);
  const [U, S, Vh] = torch.linalg.svd(A, { fullMatrices: false });
  checks["svd"] = [
    ...(S.tolist() as number[]),
    ...(U.matmul(torch.diag(S))
      .matmul(Vh)
      .sub(A)
      .abs()
      .max()
      .round({ decimals: 3 })
      .reshape(1)
      .tolist() as number[]),
  ];
  checks["lstsq"] = torch.linalg.lstsq(A, torch.ones(6, 1)).solution.flatten().tolist() as number[];
  checks["pinv"] = torch.linalg.pinv(A).flatten().tolist() as number[];
});
print(
  optimizer.paramGroups[1].lr,
  Object.fromEntries([...gp.namedParameters()].map(([k, v]) => [k, v.shape])),
);
