"""RealNVP (Dinh et al., 2017), a Kalman filter fitted by likelihood, a Gumbel-softmax autoencoder and a tree-LSTM."""
import math
import torch
from torch import nn, distributions
import torch.nn.functional as F

torch.manual_seed(71)
losses, checks = [], {}


class RealNVP(nn.Module):
    def __init__(self, nets, nett, mask, prior):
        super().__init__()
        self.prior = prior
        self.mask = nn.Parameter(mask, requires_grad=False)
        self.t = torch.nn.ModuleList([nett() for _ in range(len(mask))])
        self.s = torch.nn.ModuleList([nets() for _ in range(len(mask))])

    def g(self, z):
        x = z
        for i in range(len(self.t)):
            x_ = x * self.mask[i]
            s = self.s[i](x_) * (1 - self.mask[i])
            t = self.t[i](x_) * (1 - self.mask[i])
            x = x_ + (1 - self.mask[i]) * (x * torch.exp(s) + t)
        return x

    def f(self, x):
        log_det_J, z = x.new_zeros(x.shape[0]), x
        for i in reversed(range(len(self.t))):
            z_ = self.mask[i] * z
            s = self.s[i](z_) * (1 - self.mask[i])
            t = self.t[i](z_) * (1 - self.mask[i])
            z = (1 - self.mask[i]) * (z - t) * torch.exp(-s) + z_
            log_det_J -= s.sum(dim=1)
        return z, log_det_J

    def log_prob(self, x):
        z, logp = self.f(x)
        return self.prior.log_prob(z) + logp

    def sample(self, n):
        z = self.prior.sample((n, 1))
        return self.g(z)


nets = lambda: nn.Sequential(nn.Linear(2, 16), nn.LeakyReLU(), nn.Linear(16, 2), nn.Tanh())
nett = lambda: nn.Sequential(nn.Linear(2, 16), nn.LeakyReLU(), nn.Linear(16, 2))
masks = torch.tensor([[0, 1], [1, 0]] * 2, dtype=torch.float32)
prior = distributions.MultivariateNormal(torch.zeros(2), torch.eye(2))
flow = RealNVP(nets, nett, masks, prior)
opt = torch.optim.Adam([p for p in flow.parameters() if p.requires_grad == True], lr=5e-3)
theta = torch.rand(64) * math.pi
data = torch.stack([theta.cos() + 0.1 * torch.randn(64), theta.sin() + 0.1 * torch.randn(64)], -1)
for t in range(15):
    loss = -flow.log_prob(data).mean()
    opt.zero_grad()
    loss.backward(retain_graph=True)
    opt.step()
    losses.append(loss.item())
with torch.no_grad():
    smp = flow.sample(4)
    z, ld = flow.f(smp.squeeze(1))
    print(smp.shape, torch.allclose(flow.g(z), smp[:, 0], atol=1e-5), prior)
    checks["logdet"] = ld.tolist()

# Kalman filter, parameters by maximum likelihood
torch.manual_seed(72)
A = nn.Parameter(torch.tensor([[1.0, 0.1], [0.0, 0.9]]))
log_q, log_r = nn.Parameter(torch.tensor(-2.0)), nn.Parameter(torch.tensor(-1.0))
Hm = torch.tensor([[1.0, 0.0]])
truth, ys = torch.tensor([0.0, 1.0]), []
for _ in range(20):
    truth = torch.tensor([[1.0, 0.3], [-0.3, 0.95]]) @ truth + 0.05 * torch.randn(2)
    ys.append(truth[0] + 0.1 * torch.randn(()))
ys = torch.stack(ys)
opt = torch.optim.Adam([A, log_q, log_r], lr=0.05)
for it in range(10):
    m, P, nll = torch.zeros(2), torch.eye(2), 0.0
    Q, R = torch.diag(log_q.exp().expand(2)), log_r.exp().view(1, 1)
    for yt in ys:
        m, P = A @ m, A @ P @ A.mT + Q
        S = Hm @ P @ Hm.T + R
        innov = yt - Hm @ m
        nll = nll + 0.5 * (innov @ torch.linalg.solve(S, innov) + torch.logdet(S) + math.log(2 * math.pi))
        K = P @ Hm.T @ torch.inverse(S)
        m = m + K @ innov
        P = (torch.eye(2) - K @ Hm) @ P
    loss = nll / len(ys)
    opt.zero_grad()
    loss.backward()
    opt.step()
    losses.append(loss.item())
checks["A"] = A.flatten().tolist()

# Gumbel-softmax VAE
torch.manual_seed(73)


def sample_gumbel(shape, eps=1e-20):
    U = torch.rand(shape)
    return -torch.log(-torch.log(U + eps) + eps)


def gumbel_softmax(logits, temperature, hard=False):
    y = F.softmax((logits + sample_gumbel(logits.size())) / temperature, dim=-1)
    if not hard:
        return y.view(-1, 3 * 4)
    shape = y.size()
    _, ind = y.max(dim=-1)
    y_hard = torch.zeros_like(y).view(-1, shape[-1])
    y_hard.scatter_(1, ind.view(-1, 1), 1)
    y_hard = y_hard.view(*shape)
    y_hard = (y_hard - y).detach() + y
    return y_hard.view(-1, 3 * 4)


enc, dec = nn.Linear(8, 12), nn.Linear(12, 8)
opt = torch.optim.Adam(list(enc.parameters()) + list(dec.parameters()), lr=1e-2)
x = (torch.rand(32, 8) < torch.linspace(0.1, 0.9, 8)).float()
temp = 1.0
for it in range(10):
    q = enc(x)
    q_y = q.view(q.size(0), 3, 4)
    zc = gumbel_softmax(q_y, temp, hard=it % 2 == 1)
    recon = torch.sigmoid(dec(zc))
    BCE = F.binary_cross_entropy(recon, x, reduction="sum") / x.shape[0]
    qy = F.softmax(q, dim=-1).reshape(*q.size())
    KLD = torch.sum(qy * torch.log(qy * 4 + 1e-20), dim=-1).mean()
    loss = BCE + KLD
    opt.zero_grad()
    loss.backward()
    opt.step()
    losses.append(loss.item())
    temp = max(temp * math.exp(-0.05 * it), 0.5)
hard = F.gumbel_softmax(enc(x[:2]).view(2, 3, 4), tau=0.7, hard=True)
checks["hard"] = hard.flatten().tolist()


# Tree-LSTM (child-sum)
class ChildSumTreeLSTM(nn.Module):
    def __init__(self, in_dim, mem_dim):
        super().__init__()
        self.mem_dim = mem_dim
        self.ioux, self.iouh = nn.Linear(in_dim, 3 * mem_dim), nn.Linear(mem_dim, 3 * mem_dim)
        self.fx, self.fh = nn.Linear(in_dim, mem_dim), nn.Linear(mem_dim, mem_dim)

    def node_forward(self, inputs, child_c, child_h):
        child_h_sum = torch.sum(child_h, dim=0, keepdim=True)
        iou = self.ioux(inputs) + self.iouh(child_h_sum)
        i, o, u = torch.split(iou, iou.size(1) // 3, dim=1)
        i, o, u = torch.sigmoid(i), torch.sigmoid(o), torch.tanh(u)
        f = torch.sigmoid(self.fh(child_h) + self.fx(inputs).repeat(len(child_h), 1))
        fc = torch.mul(f, child_c)
        c = torch.mul(i, u) + torch.sum(fc, dim=0, keepdim=True)
        h = torch.mul(o, torch.tanh(c))
        return c, h

    def forward(self, tree, inputs):
        idx, children = tree
        if len(children) == 0:
            child_c = inputs[0].detach().new(1, self.mem_dim).fill_(0.0).requires_grad_()
            child_h = inputs[0].detach().new(1, self.mem_dim).fill_(0.0).requires_grad_()
        else:
            child_c, child_h = zip(*map(lambda x: self.forward(x, inputs), children))
            child_c, child_h = torch.cat(child_c, dim=0), torch.cat(child_h, dim=0)
        return self.node_forward(inputs[idx:idx + 1], child_c, child_h)


torch.manual_seed(74)
trees = [(0, [(1, []), (2, [(3, []), (4, [])])]), (0, [(1, [(2, [(3, [])])])]), (2, [])]
emb = nn.Embedding(9, 6)
tl, head = ChildSumTreeLSTM(6, 8), nn.Linear(8, 3)
opt = torch.optim.Adagrad([*emb.parameters(), *tl.parameters(), *head.parameters()], lr=0.05, weight_decay=1e-4)
for it in range(4):
    for k, tree in enumerate(trees):
        toks = torch.arange(5) + k
        c, h = tl(tree, emb(toks))
        loss = F.kl_div(F.log_softmax(head(h), dim=1), F.one_hot(torch.tensor([k]), 3).float() * 0.8 + 0.2 / 3, reduction="batchmean")
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
