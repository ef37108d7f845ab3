/** A neural ordinary differential equation: Runge-Kutta steps, then gradients by the adjoint equation. */
/* oxlint-disable typescript/no-explicit-any -- options by any name, as PyTorch takes them */
import { torch, nn, print, format, type Tensor } from "layerwise";
torch.manualSeed(2);
export const losses: number[] = [];
export const checks: Record<string, number[]> = {};
const [HIDDEN, POINTS, BATCH, LENGTH, ITERATIONS] = [20, 21, 6, 4, 24];

class ODEFunc extends nn.Module {
  net: nn.Sequential;
  nfe: number;
  constructor() {
    super();
    this.net = new nn.Sequential(new nn.Linear(2, HIDDEN), new nn.Tanh(), new nn.Linear(HIDDEN, 2));
    this.nfe = 0;
    for (const m of this.net.modules()) {
      if (m instanceof nn.Linear) {
        nn.init.normal_(m.weight, { mean: 0, std: 0.1 });
        nn.init.constant_(m.bias!, { val: 0 });
      }
    }
  }
  forward(_t: Tensor, y: Tensor): Tensor {
    this.nfe += 1;
    return this.net(y.pow(3));
  }
}
type Func = (t: Tensor, y: Tensor) => Tensor;

function rk4Step(f: Func, t: Tensor, dt: Tensor, y: Tensor) {
  const k1 = f(t, y);
  const k2 = f(t.add(dt.div(3)), y.add(dt.mul(k1).div(3)));
  const k3 = f(t.add(dt.mul(2).div(3)), y.add(dt.mul(k2.sub(k1.div(3)))));
  const k4 = f(t.add(dt), y.add(dt.mul(k1.sub(k2).add(k3))));
  return k1.add(k2.add(k3).mul(3)).add(k4).mul(dt).mul(0.125);
}

function odeint(f: Func, y0: Tensor, t: Tensor) {
  const ys = [y0];
  const starts = [...t.index(":-1")];
  const ends = [...t.index("1:")];
  starts.forEach((t0, i) => ys.push(ys.at(-1)!.add(rk4Step(f, t0, ends[i].sub(t0), ys.at(-1)!))));
  return torch.stack(ys);
}

type State = [Tensor, Tensor, Tensor];
class OdeintAdjoint extends torch.autograd.Function {
  static forward(ctx: any, func: ODEFunc, y0: Tensor, t: Tensor, flatParams: Tensor, ..._params: Tensor[]) {
    ctx.func = func;
    const y = torch.noGrad(() => odeint(func, y0, t));
    ctx.saveForBackward(t, y, flatParams);
    return y;
  }
  static backward(ctx: any, gradY: Tensor) {
    const func: ODEFunc = ctx.func;
    const [t, y, flatParams] = ctx.savedTensors as Tensor[];
    const params = [...func.parameters()];
    const aug = (ti: Tensor, [yi, ai]: State): State => {
      const [out, vjpY, vjpP] = torch.enableGrad(() => {
        yi = yi.detach().requiresGrad_(true);
        const out = func(ti, yi);
        const [vjpY, ...vjpP] = torch.autograd.grad(out, [yi, ...params], ai.neg(), {
          allowUnused: true,
          retainGraph: true,
        });
        return [out, vjpY, vjpP] as const;
      });
      const flat = torch.cat(
        vjpP.map((g, i) => (g === null ? torch.zerosLike(params[i]).flatten() : g.flatten())),
      );
      return [out.detach(), vjpY!, flat];
    };
    let adj = gradY.index(-1);
    let grads = torch.zerosLike(flatParams);
    torch.noGrad(() => {
      for (let i = t.size(0) - 1; i > 0; i--) {
        const dt = t.index(i - 1).sub(t.index(i));
        const s: State = [y.index(i), adj, grads];
        const k1 = aug(t.index(i), s);
        const k2 = aug(t.index(i).add(dt.div(2)), s.map((a, j) => a.add(dt.div(2).mul(k1[j]))) as State);
        const k3 = aug(t.index(i).add(dt.div(2)), s.map((a, j) => a.add(dt.div(2).mul(k2[j]))) as State);
        const k4 = aug(t.index(i - 1), s.map((a, j) => a.add(dt.mul(k3[j]))) as State);
        [, adj, grads] = s.map((a, j) =>
          a.add(dt.div(6).mul(k1[j].add(k2[j].mul(2)).add(k3[j].mul(2)).add(k4[j]))),
        ) as State;
        adj.add_(gradY.index(i - 1));
      }
    });
    return [null, adj, null, grads, ...params.map(() => null)];
  }
}

function odeintAdjoint(func: ODEFunc, y0: Tensor, t: Tensor) {
  const flat = torch.cat([...func.parameters()].map((p) => p.reshape(-1)));
  return OdeintAdjoint.apply(func, y0, t, flat, ...func.parameters());
}

class Lambda extends nn.Module {
  forward(_t: Tensor, y: Tensor) {
    return torch.mm(y.pow(3), trueA);
  }
}

const trueY0 = torch.tensor([[2.0, 0.0]]).float();
const t = torch.linspace(0.0, 2.0, POINTS);
const trueA = torch.tensor([
  [-0.1, 2.0],
  [-2.0, -0.1],
]);
const trueY = torch.noGrad(() => odeint(new Lambda(), trueY0, t));
print(trueY.size(), trueY.index("::10"));

function getBatch(n = BATCH, length = LENGTH) {
  const s = torch.randperm(t.size(0) - length).index(`:${n}`);
  const batchY0 = trueY.index(s);
  const batchT = t.index(`:${length}`);
  const batchY = torch.stack(
    Array.from({ length }, (_, i) => trueY.index(s.add(i))),
    { dim: 0 },
  );
  return [batchY0, batchT, batchY];
}

const func = new ODEFunc();
const optimizer = new torch.optim.RMSprop(func.parameters(), { lr: 1e-3, momentum: 0.9 });
let predY!: Tensor;
for (let itr = 1; itr <= ITERATIONS; itr++) {
  optimizer.zeroGrad();
  const [batchY0, batchT, batchY] = getBatch();
  if (itr <= Math.floor(ITERATIONS / 2)) predY = odeint(func, batchY0, batchT);
  else predY = odeintAdjoint(func, batchY0, batchT);
  const loss = torch.mean(torch.abs(predY.sub(batchY)));
  loss.backward();
  optimizer.step();
  losses.push(loss.item());
  if (itr % 8 === 0) {
    torch.noGrad(() => {
      predY = odeint(func, trueY0, t);
      print(
        `Iter ${format(itr, "04d")} | Total Loss ${format(torch.mean(torch.abs(predY.sub(trueY))).item(), ".3f")} | nfe ${func.nfe}`,
      );
    });
  }
}
checks["last"] = predY.index(-1).flatten().tolist() as number[];
const y0 = trueY0.clone().requiresGrad_();
odeint(func, y0, t).index(-1).sum().backward();
const g1 = y0.grad!.clone();
y0.grad = null;
odeintAdjoint(func, y0, t).index(-1).sum().backward();
checks["grads"] = torch.cat([g1, y0.grad!]).flatten().tolist() as number[];
print(torch.allclose(g1, y0.grad!, { atol: 1e-3 }), (func.net[0] as nn.Linear).weight.grad!.shape);
