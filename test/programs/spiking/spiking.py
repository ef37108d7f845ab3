"""A spiking network (Neftci et al., 2019): surrogate gradients, leaky neurons, spike-rate regularisation."""

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(9)
losses = []
INPUTS, HIDDEN, OUTPUTS, T, BATCH, STEPS = 10, 16, 3, 12, 8, 25


class SurrGradSpike(torch.autograd.Function):
    scale = 10.0

    @staticmethod
    def forward(ctx, input):
        ctx.save_for_backward(input)
        out = torch.zeros_like(input)
        out[input > 0] = 1.0
        return out

    @staticmethod
    def backward(ctx, grad_output):
        (input,) = ctx.saved_tensors
        grad_input = grad_output.clone()
        return grad_input / (SurrGradSpike.scale * torch.abs(input) + 1.0) ** 2


class ClampSTE(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, low, high):
        ctx.low, ctx.high = low, high
        ctx.mark_non_differentiable(mask := (x < low) | (x > high))
        return x.clamp(low, high), mask

    @staticmethod
    def backward(ctx, g, _):
        return g, None, None


class SNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.w1 = nn.Parameter(torch.empty(INPUTS, HIDDEN))
        self.v1 = nn.Parameter(torch.empty(HIDDEN, HIDDEN))
        self.w2 = nn.Parameter(torch.empty(HIDDEN, OUTPUTS))
        nn.init.normal_(self.w1, mean=0.0, std=0.8)
        nn.init.orthogonal_(self.v1, gain=0.3)
        nn.init.trunc_normal_(self.w2, std=0.4, a=-0.8, b=0.8)
        self.register_buffer("decay", torch.tensor([0.8, 0.9]))
        self.register_load_state_dict_post_hook(lambda module, keys: print("loaded", keys.missing_keys))

    def forward(self, inputs):
        h1 = torch.einsum("abc,cd->abd", inputs, self.w1)
        alpha, beta = self.decay.unbind()
        syn = mem = out = torch.zeros(inputs.shape[0], HIDDEN)
        mems, spks = [], []
        for t in range(inputs.shape[1]):
            h = h1[:, t] + torch.einsum("ab,bc->ac", (out, self.v1))
            mthr = mem - 1.0
            out = SurrGradSpike.apply(mthr)
            rst = out.detach()
            syn, mem = alpha * syn + h, (beta * mem + syn) * (1.0 - rst)
            mems.append(mem)
            spks.append(out)
        spks = torch.stack(spks, dim=1)
        h2 = torch.einsum("abc,cd->abd", spks, self.w2)
        flt = torch.zeros(inputs.shape[0], OUTPUTS)
        outs = [out2 := flt]
        for t in range(inputs.shape[1]):
            flt = alpha * flt + h2[:, t]
            out2, clipped = ClampSTE.apply(beta * out2 + flt, -20.0, 20.0)
            outs.append(out2)
        return torch.stack(outs, 1), spks


def batch():
    y = torch.randint(OUTPUTS, (BATCH,))
    rates = torch.linspace(0.1, 0.6, OUTPUTS)[y]
    return torch.bernoulli(rates[:, None, None].expand(-1, T, INPUTS)), y


model = SNN()
grads = {}
for name, p in model.named_parameters():
    p.register_hook(lambda g, name=name: grads.setdefault(name, []).append(g.norm().item()))
optimizer = torch.optim.Adamax(model.parameters(), lr=0.01, betas=(0.9, 0.999))
scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=2, threshold=1e-2)
for step in range(STEPS):
    x, y = batch()
    output, spikes = model(x)
    m, _ = torch.max(output, 1)
    log_p = F.log_softmax(m, dim=1)
    reg = 1e-4 * spikes.sum() + 1e-4 * spikes.sum((0, 1)).square().mean()
    loss = F.nll_loss(log_p, y) + reg
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step(loss.detach())
    losses.append(loss.item())
state = {k: v.clone() for k, v in model.state_dict().items()}
del state["v1"]
print(model.load_state_dict(state, strict=False))
print([g["lr"] for g in optimizer.param_groups], spikes.mean() > 0)
checks = {"w1": grads["w1"], "v1": grads["v1"][1:]}
