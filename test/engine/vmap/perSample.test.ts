// The most common uses of vmap: gradients of single samples and ensembles, also with PyTorch's numbers.
import { describe, expect, it } from "vitest";
import { F, nn, torch, type Tensor } from "../../../extension/nn/index.ts";
import { onEachEngine } from "../../engines.ts";
import { expectCase, filled, wave } from "../gradients/secondCases.ts";
import { counted, energy, expectEqual } from "./mapped.ts";

const { func } = torch;
const { grad, vmap } = func;

/** Gradients of single samples of a network, recorded at once and one by one. */
function perSample(
  net: nn.Module,
  x: Tensor,
  y: Tensor,
  loss: (output: Tensor, target: Tensor) => Tensor,
): number {
  const parameters = Object.fromEntries(net.namedParameters().map(([name, p]) => [name, p.detach()]));
  const lossOf = (p: Record<string, Tensor>, one: Tensor, target: Tensor): Tensor =>
    loss(func.functionalCall(net, p, [one.unsqueeze(0)]) as Tensor, target.unsqueeze(0));
  const { result, nodes } = counted(() => vmap(grad(lossOf), [null, 0, 0])(parameters, x, y));
  for (let b = 0; b < x.size(0); b++) {
    const one = grad(lossOf)(parameters, x.select(0, b), y.select(0, b));
    for (const [name, g] of Object.entries(one)) expectEqual(result[name]!.select(0, b), g);
  }
  return nodes;
}

function perSampleGradients(): void {
  const targets = torch.tensor([0, 1, 1, 0, 1]);
  const wide = (n: number): Tensor => torch.cat([targets, targets]).narrow(0, 0, n);

  it("of linear layers, norms and activations", () => {
    const net = filled(
      new nn.Sequential(new nn.Linear(3, 8), new nn.LayerNorm(8), new nn.GELU(), new nn.Linear(8, 2)),
    );
    const nodes = [5, 10].map((n) => perSample(net, wave([n, 3], 1), wide(n), F.crossEntropy));
    expect(nodes[1]).toBe(nodes[0]);
  });

  it("of convolutions, pooling and batch norm in evaluation", () => {
    const net = filled(
      new nn.Sequential(
        new nn.Conv2d(2, 4, 3, { padding: 1, stride: 2 }),
        new nn.BatchNorm2d(4),
        new nn.ReLU(),
        new nn.MaxPool2d(2),
        new nn.Conv2d(4, 4, 2, { groups: 2 }),
        new nn.Flatten(),
        new nn.Linear(4, 2),
      ),
    ).eval();
    const nodes = [5, 10].map((n) => perSample(net, wave([n, 2, 8, 8], 1), wide(n), F.crossEntropy));
    expect(nodes[1]).toBe(nodes[0]);
  });

  it("of embeddings, recurrent layers and attention", () => {
    class Net extends nn.Module {
      table = new nn.Embedding(6, 4, { paddingIdx: 0 });
      gru = new nn.GRU(4, 4, { batchFirst: true, bidirectional: true });
      attention = new nn.MultiheadAttention(8, 2, { batchFirst: true });
      out = new nn.Linear(8, 2);
      forward(ids: Tensor): Tensor {
        const [h] = this.gru(this.table(ids));
        const [y] = this.attention(h, h, h);
        return this.out(y.mean(1));
      }
    }
    const ids = torch.tensor(Array.from({ length: 10 }, (_, i) => [0, 1, 2, 3].map((k) => (i + k * k) % 6)));
    const nodes = [5, 10].map((n) =>
      perSample(filled(new Net()), ids.narrow(0, 0, n), wide(n), F.crossEntropy),
    );
    expect(nodes[1]).toBe(nodes[0]);
  });
}

class Words extends nn.Module {
  table = new nn.Embedding(7, 6, { paddingIdx: 0 });
  conv = new nn.Conv1d(6, 6, 3, { padding: 1 });
  norm = new nn.LayerNorm(6);
  lstm = new nn.LSTM(6, 4, { batchFirst: true });
  attention = new nn.MultiheadAttention(4, 2, { batchFirst: true });
  out = new nn.Linear(4, 2);

  forward(ids: Tensor): Tensor {
    const y = this.norm(this.conv(this.table(ids).transpose(1, 2)).transpose(1, 2)).relu();
    const [h] = this.lstm(y);
    const [a] = this.attention(h, h, h);
    return this.out(a.mean(1));
  }
}

const images = (): nn.Sequential =>
  new nn.Sequential(
    new nn.Conv2d(2, 4, 3, { stride: 2, padding: 1 }),
    new nn.GroupNorm(2, 4),
    new nn.ReLU(),
    new nn.MaxPool2d(2, 1),
    new nn.Conv2d(4, 6, 2, { groups: 2 }),
    new nn.Flatten(),
    new nn.Linear(24, 2),
  );

/** PyTorch's numbers: test/fixtures/gradients/make.py. */
function fixtures(): void {
  const y = torch.tensor([0, 1, 1, 0, 1]);
  const ids = torch.arange(20).reshape(5, 4).mul(3).remainder(7);

  it.each<[string, () => nn.Module, Tensor]>([
    ["words", () => new Words(), ids],
    ["images", images, wave([5, 2, 8, 8], 1)],
  ])("gradients of single samples: %s", (name, make, x) => {
    const net = filled(make());
    const parameters = Object.fromEntries(net.namedParameters().map(([key, p]) => [key, p.detach()]));
    const loss = (p: Record<string, Tensor>, one: Tensor, target: Tensor): Tensor =>
      F.crossEntropy(func.functionalCall(net, p, [one.unsqueeze(0)]) as Tensor, target.unsqueeze(0));
    const each = vmap(grad(loss), [null, 0, 0])(parameters, x, y);
    expectCase(`gradients of single samples: ${name}`, Object.values(each));
  });

  it("an ensemble", () => {
    const nets = [1, 2, 3].map((k) => filled(images(), 0.2 * k));
    const [stacked] = func.stackModuleState(nets);
    const run = (p: Record<string, Tensor>, v: Tensor): Tensor => func.functionalCall(nets[0]!, p, [v]);
    const scores = vmap(run, [0, null])(stacked, wave([2, 2, 8, 8], 1));
    scores.square().sum().backward();
    expectCase("an ensemble", [scores, ...Object.values(stacked).map((p) => p.grad!)]);
  });

  it("nested", () => {
    const x = wave([4, 3], 1).requiresGrad_();
    const inner = vmap(grad(energy))(x);
    inner.square().sum().backward();
    const f = (v: Tensor): Tensor => v.unsqueeze(0).mul(v.unsqueeze(1)).tanh().sum(0);
    expectCase("nested", [
      inner,
      x.grad!,
      vmap(func.hessian((v: Tensor) => f(v).prod()))(x),
      vmap(func.jacfwd(func.jacrev(f)))(x),
      func.jacrev(vmap(f))(x),
      vmap(
        vmap((u: Tensor, v: Tensor) => u.matmul(v.exp()), [0, null]),
        [null, 0],
        1,
      )(x, x),
    ]);
  });
}

onEachEngine(() => {
  describe("gradients of single samples", perSampleGradients);
  describe("PyTorch's numbers", fixtures);
});
