"""A neural ordinary differential equation: Runge-Kutta steps, then gradients by the adjoint equation."""
import torch
import torch.nn as nn
torch.manual_seed(2)
losses = []
checks = {}
HIDDEN, POINTS, BATCH, LENGTH, ITERATIONS = 20, 21, 6, 4, 24

class ODEFunc(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, 2))
        self.nfe = 0
        for m in self.net.modules():
            if isinstance(m, nn.Linear):
                nn.init.normal_(m.weight, mean=0, std=0.1)
                nn.init.constant_(m.bias, val=0)
    def forward(self, t, y):
        self.nfe += 1
        return self.net(y ** 3)

def rk4_step(f, t, dt, y):
    k1 = f(t, y)
    k2 = f(t + dt / 3, y + dt * k1 / 3)
    k3 = f(t + dt * 2 / 3, y + dt * (k2 - k1 / 3))
    k4 = f(t + dt, y + dt * (k1 - k2 + k3))
    return (k1 + 3 * (k2 + k3) + k4) * dt * 0.125

def odeint(f, y0, t):
    ys = [y0]
    for t0, t1 in zip(t[:-1], t[1:]):
        ys.append(ys[-1] + rk4_step(f, t0, t1 - t0, ys[-1]))
    return torch.stack(ys)

class OdeintAdjoint(torch.autograd.Function):
    @staticmethod
    def forward(ctx, func, y0, t, flat_params, *params):
        ctx.func = func
        with torch.no_grad():
            y = odeint(func, y0, t)
        ctx.save_for_backward(t, y, flat_params)
        return y
    @staticmethod
    def backward(ctx, grad_y):
        func = ctx.func
        t, y, flat_params = ctx.saved_tensors
        params = tuple(func.parameters())
        def aug(ti, state):
            yi, ai, gi = state
            with torch.enable_grad():
                yi = yi.detach().requires_grad_(True)
                out = func(ti, yi)
                vjp_y, *vjp_p = torch.autograd.grad(out, (yi,) + params, -ai, allow_unused=True, retain_graph=True)
            vjp_p = torch.cat([torch.zeros_like(p).flatten() if g is None else g.flatten() for g, p in zip(vjp_p, params)])
            return out.detach(), vjp_y, vjp_p
        with torch.no_grad():
            adj = grad_y[-1]
            grads = torch.zeros_like(flat_params)
            for i in range(len(t) - 1, 0, -1):
                dt = t[i - 1] - t[i]
                s = (y[i], adj, grads)
                k1 = aug(t[i], s)
                k2 = aug(t[i] + dt / 2, tuple(a + dt / 2 * b for a, b in zip(s, k1)))
                k3 = aug(t[i] + dt / 2, tuple(a + dt / 2 * b for a, b in zip(s, k2)))
                k4 = aug(t[i - 1], tuple(a + dt * b for a, b in zip(s, k3)))
                _, adj, grads = (a + dt / 6 * (b + 2 * c + 2 * d + e) for a, b, c, d, e in zip(s, k1, k2, k3, k4))
                adj += grad_y[i - 1]
        return None, adj, None, grads, *([None] * len(params))

def odeint_adjoint(func, y0, t):
    flat = torch.cat([p.reshape(-1) for p in func.parameters()])
    return OdeintAdjoint.apply(func, y0, t, flat, *func.parameters())

class Lambda(nn.Module):
    def forward(self, t, y):
        return torch.mm(y ** 3, true_A)

true_y0 = torch.tensor([[2.0, 0.0]])
t = torch.linspace(0.0, 2.0, POINTS)
true_A = torch.tensor([[-0.1, 2.0], [-2.0, -0.1]])
with torch.no_grad():
    true_y = odeint(Lambda(), true_y0, t)
print(true_y.size(), true_y[::10])

def get_batch(n=BATCH, length=LENGTH):
    s = torch.randperm(len(t) - length)[:n]
    batch_y0 = true_y[s]
    batch_t = t[:length]
    batch_y = torch.stack([true_y[s + i] for i in range(length)], dim=0)
    return batch_y0, batch_t, batch_y

func = ODEFunc()
optimizer = torch.optim.RMSprop(func.parameters(), lr=1e-3, momentum=0.9)
for itr in range(1, ITERATIONS + 1):
    optimizer.zero_grad()
    batch_y0, batch_t, batch_y = get_batch()
    if itr <= ITERATIONS // 2:
        pred_y = odeint(func, batch_y0, batch_t)
    else:
        pred_y = odeint_adjoint(func, batch_y0, batch_t)
    loss = torch.mean(torch.abs(pred_y - batch_y))
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    if itr % 8 == 0:
        with torch.no_grad():
            pred_y = odeint(func, true_y0, t)
            print("Iter {:04d} | Total Loss {:.3f} | nfe {}".format(itr, torch.mean(torch.abs(pred_y - true_y)).item(), func.nfe))
checks["last"] = pred_y[-1].flatten().tolist()
y0 = true_y0.clone().requires_grad_()
(odeint(func, y0, t)[-1].sum()).backward()
g1, y0.grad = y0.grad.clone(), None
odeint_adjoint(func, y0, t)[-1].sum().backward()
checks["grads"] = torch.cat([g1, y0.grad]).flatten().tolist()
print(torch.allclose(g1, y0.grad, atol=1e-3), func.net[0].weight.grad.shape)
