/** Model-agnostic meta-learning (Finn et al., 2017) of sines: two inner steps, second-order gradients. */
import { F, format, nn, optim, print, torch, type Tensor } from "layerwise";

torch.manualSeed(11);
export const losses: number[] = [];
export const checks: Record<string, number[]> = {};
const [TASKS, ITERATIONS] = [3, 12];

class Net extends nn.Module {
  fc1 = new nn.Linear(1, 40);
  fc2 = new nn.Linear(40, 40);
  fc3 = new nn.Linear(40, 1);

  forward(x: Tensor, params: Tensor[] = [...this.parameters()]): Tensor {
    x = F.relu(F.linear(x, params[0], params[1]));
    x = F.relu(F.linear(x, params[2], params[3]));
    return F.linear(x, params[4], params[5]);
  }
}

type Task = (n: number) => [Tensor, Tensor];

function sampleTask(): Task {
  const amplitude = torch.rand(1).item() * 4.9 + 0.1;
  const phase = torch.rand(1).item() * Math.PI;
  return (n) => {
    const x = torch.rand(n, 1).mul(10).sub(5);
    return [x, torch.sin(x.sub(phase)).mul(amplitude)];
  };
}

const net = new Net();
const metaOptimizer = new optim.Adam(net.parameters(), { lr: 1e-3 });
const innerLr = 0.01;
for (let iteration = 0; iteration < ITERATIONS; iteration++) {
  let metaLoss = torch.tensor(0.0);
  for (let i = 0; i < TASKS; i++) {
    const task = sampleTask();
    let fast: Tensor[] = [...net.parameters()];
    for (let j = 0; j < 2; j++) {
      const [x, y] = task(10);
      const loss = F.mseLoss(net(x, fast), y);
      const grads = torch.autograd.grad(loss, fast, { createGraph: true });
      fast = fast.map((p, k) => p.sub(grads[k].mul(innerLr)));
    }
    const [x, y] = task(10);
    metaLoss = metaLoss.add(F.mseLoss(net(x, fast), y));
  }
  metaLoss = metaLoss.div(TASKS);
  metaOptimizer.zeroGrad();
  metaLoss.backward();
  metaOptimizer.step();
  losses.push(metaLoss.item());
  if (iteration % 4 === 3) print(`iteration ${iteration + 1}: meta-loss ${format(metaLoss.item(), ".3f")}`);
}
checks["norms"] = [...net.parameters()].map((p) => p.grad!.norm().item());
