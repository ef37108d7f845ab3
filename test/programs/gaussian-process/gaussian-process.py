"""Gaussian process regression by gradient: its likelihood by five ways of linear algebra, then the posterior."""
import math
import torch
from torch import nn
from torch.distributions import MultivariateNormal
torch.manual_seed(13)
losses = []
checks = {}

class GP(nn.Module):
    def __init__(self, x, y):
        super().__init__()
        self.x, self.y = x, y
        self.raw_lengthscale = nn.Parameter(torch.zeros(1))
        self.raw_outputscale = nn.Parameter(torch.tensor(0.0))
        self.raw_noise = nn.Parameter(torch.tensor(-2.0))
        self.register_buffer("jitter", 1e-5 * torch.eye(len(x)))
    @property
    def lengthscale(self):
        return nn.functional.softplus(self.raw_lengthscale)
    def kernel(self, a, b):
        d = (a.unsqueeze(-2) - b.unsqueeze(-3)).div(self.lengthscale).pow(2).sum(-1)
        return self.raw_outputscale.exp() * torch.exp(-0.5 * d)
    def covariance(self):
        K = self.kernel(self.x, self.x)
        K = K + self.jitter
        K.diagonal().add_(self.raw_noise.exp())
        return K
    def nll(self, how):
        K = self.covariance()
        n = self.x.shape[0]
        if how == "cholesky":
            L = torch.linalg.cholesky(K)
            alpha = torch.cholesky_solve(self.y.unsqueeze(1), L)
            return 0.5 * self.y @ alpha.squeeze(1) + L.diagonal().log().sum() + 0.5 * n * math.log(2 * math.pi)
        if how == "solve":
            return 0.5 * self.y.dot(torch.linalg.solve(K, self.y)) + 0.5 * torch.logdet(K) + 0.5 * n * math.log(2 * math.pi)
        if how == "triangular":
            L = torch.linalg.cholesky(K)
            v = torch.linalg.solve_triangular(L, self.y[:, None], upper=False)
            return 0.5 * (v ** 2).sum() + torch.log(torch.diag(L)).sum() + 0.5 * n * math.log(2 * math.pi)
        if how == "inverse":
            sign, logabs = torch.linalg.slogdet(K)
            return 0.5 * (self.y @ torch.linalg.inv(K) @ self.y) + 0.5 * logabs + 0.5 * n * math.log(2 * math.pi)
        return -MultivariateNormal(torch.zeros(n), covariance_matrix=K).log_prob(self.y)
    def posterior(self, xs):
        L = torch.linalg.cholesky(self.covariance())
        Ks = self.kernel(self.x, xs)
        mean = Ks.T @ torch.cholesky_solve(self.y[:, None], L)
        v = torch.linalg.solve_triangular(L, Ks, upper=False)
        cov = self.kernel(xs, xs) - v.mT @ v
        return mean.squeeze(), cov

x = torch.sort(torch.rand(14, 1) * 6, dim=0).values
y = torch.sin(x).squeeze(-1) + 0.1 * torch.randn(14)
gp = GP(x, y)
optimizer = torch.optim.Adam([{"params": [gp.raw_lengthscale, gp.raw_outputscale]}, {"params": gp.raw_noise, "lr": 0.02}], lr=0.05)
for how in ("cholesky", "solve", "triangular", "inverse", "distribution"):
    for _ in range(4):
        optimizer.zero_grad()
        loss = gp.nll(how)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    print(f"{how:>12}: {loss.item():8.2f} {gp.lengthscale.item():.3f}")
with torch.no_grad():
    xs = torch.linspace(0, 6, 5).unsqueeze(1)
    mean, cov = gp.posterior(xs)
    checks["mean"] = mean.tolist()
    checks["std"] = cov.diagonal().clamp_min(0).sqrt().tolist()
    L = torch.linalg.cholesky(cov + 1e-3 * torch.eye(5))
    sample = mean + L @ torch.randn(5)
    checks["sample"] = sample.tolist()
    evals, evecs = torch.linalg.eigh(cov)
    checks["evals"] = evals.tolist()
    checks["cond"] = [torch.linalg.norm(cov).item(), torch.linalg.det(cov + torch.eye(5)).item(), torch.trace(cov).item()]
    A = torch.randn(6, 3)
    U, S, Vh = torch.linalg.svd(A, full_matrices=False)
    checks["svd"] = S.tolist() + (U @ torch.diag(S) @ Vh - A).abs().max().round(decimals=3).reshape(1).tolist()
    checks["lstsq"] = torch.linalg.lstsq(A, torch.ones(6, 1)).solution.flatten().tolist()
    checks["pinv"] = torch.linalg.pinv(A).flatten().tolist()
print(optimizer.param_groups[1]["lr"], {k: v.shape for k, v in gp.named_parameters()})
