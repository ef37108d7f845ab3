// Lines of PyTorch's tutorials beside PyTorch: test/fixtures/tutorials/make.py has the same programs.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { F, nn, optim, torch, type Tensor } from "../../../extension/nn/index.ts";
import { onEachEngine } from "../../engines.ts";
import { expectNear } from "../states.ts";

const { parametrize } = nn.utils;

const expected = JSON.parse(
  readFileSync(new URL("../../fixtures/tutorials/tutorials.json", import.meta.url), "utf8"),
) as {
  optimizerInBackward: number[];
  hooks: { seen: number[]; order: string[]; y: number[]; grad: number[] };
  cached: { losses: number[]; calls: number[] };
  derivatives: { linearize: number[][]; vjp: number[]; hessian: number[][][] };
  names: (string | null)[];
  masks: number[][];
};

const numbers = (x: Tensor): number[] => x.flatten().tolist() as number[];

class Scaled extends nn.Module {
  fc = new nn.Linear(3, 3);
  forward(x: Tensor, { scale = 1 } = {}): Tensor {
    return this.fc(x).mul(scale);
  }
}

class Skew extends nn.Module {
  calls = 0;
  forward(x: Tensor): Tensor {
    this.calls++;
    return x.triu(1).sub(x.triu(1).mT);
  }
}

onEachEngine(() => {
  test("an optimizer of each parameter steps in the hook after its gradient, while others still follow", () => {
    torch.manualSeed(1);
    const net = new nn.Sequential(
      new nn.Linear(3, 5),
      new nn.Tanh(),
      new nn.Linear(5, 4),
      new nn.Tanh(),
      new nn.Linear(4, 1),
    );
    const optimizers = new Map(
      net.parameters().map((p) => [p, new optim.Adam([p], { lr: 0.05, foreach: false })]),
    );
    for (const p of net.parameters()) {
      p.registerPostAccumulateGradHook((leaf) => {
        optimizers.get(leaf)!.step();
        optimizers.get(leaf)!.zeroGrad();
      });
    }
    const x = torch.randn(6, 3);
    const losses: number[] = [];
    for (let i = 0; i < 6; i++) {
      const loss = F.mseLoss(net(x).squeeze(1), x.sum(1));
      loss.backward();
      losses.push(loss.item());
    }
    expectNear(losses, expected.optimizerInBackward);
    expect(net.parameters().map((p) => p.grad)).toEqual(net.parameters().map(() => null));
  });

  test("hooks take the arguments by name apart, and hooks of all modules run before a module's own", () => {
    torch.manualSeed(2);
    const model = new Scaled();
    const seen: number[] = [];
    const order: string[] = [];
    const handles = [
      model.registerForwardPreHook(
        (_, args, kwargs) => {
          seen.push(kwargs.scale);
          return [args, { scale: kwargs.scale * 2 }];
        },
        { withKwargs: true },
      ),
      model.registerForwardHook(
        (_, _args, kwargs, output) => {
          seen.push(kwargs.scale);
          return output.add(1);
        },
        { withKwargs: true },
      ),
    ];
    const x = torch.randn(2, 3, { requiresGrad: true });
    const every = nn.modules.module;
    const note = (text: string) => (m: nn.Module) => void order.push(`${text}${m.constructor.name}`);
    handles.push(
      every.registerModuleForwardPreHook(note("pre ")),
      every.registerModuleForwardHook(note("post ")),
      every.registerModuleFullBackwardPreHook(note("backward pre ")),
      every.registerModuleFullBackwardHook(note("backward ")),
    );
    model.registerFullBackwardHook(() => void order.push("own"));
    const y = model(x, { scale: 0.5 });
    y.sum().backward();
    for (const handle of handles) handle.remove();
    model(x.detach());
    expect(seen).toEqual(expected.hooks.seen);
    expect(order).toEqual(expected.hooks.order);
    expectNear(numbers(y), expected.hooks.y);
    expectNear(numbers(x.grad!), expected.hooks.grad);
    model.registerForwardPreHook(() => [x], { withKwargs: true });
    expect(() => model(x)).toThrow("forward pre-hook must return None or a tuple of (new_args, new_kwargs)");
  });

  test("cached() computes a parametrized weight once", () => {
    torch.manualSeed(3);
    const cell = new nn.Linear(3, 3);
    const skew = new Skew();
    parametrize.registerParametrization(cell, "weight", skew);
    const x = torch.randn(4, 2, 3);
    const optimizer = new optim.SGD(cell.parameters(), { lr: 0.1 });
    const [losses, calls]: number[][] = [[], []];
    for (let i = 0; i < 3; i++) {
      const before = skew.calls;
      const h = parametrize.cached(() => {
        let state = torch.zeros(2, 3);
        for (const row of x) state = torch.tanh(cell(state).add(row));
        return state;
      });
      calls!.push(skew.calls - before);
      optimizer.zeroGrad();
      h.square().sum().backward();
      optimizer.step();
      losses!.push(h.square().sum().item());
    }
    expectNear(losses!, expected.cached.losses);
    expect(calls).toEqual(expected.cached.calls);
    // Assigning computes it again, and nothing is kept afterwards.
    const start = skew.calls;
    const read = (): number => cell.weight.numel();
    parametrize.cached(() => {
      read();
      cell.weight = torch.zeros(3, 3);
      read();
      parametrize.cached(read);
    });
    expect(skew.calls - start).toBe(2);
    read();
    expect(skew.calls - start).toBe(3);
  });

  test("linearize, vjp of one argument, hessian of several", () => {
    const { linearize, vjp, hessian } = torch.func;
    const x = torch.tensor([0.5, -1.5]).add(torch.tensor([0, 0.5]));
    const w = torch
      .tensor([
        [1, 2],
        [3, 4],
      ])
      .float();
    const f = (a: Tensor, b: Tensor): Tensor => b.matmul(a).sin();
    const [y, push] = linearize(f, x, w);
    const pushed = [y, push(torch.ones(2), torch.zeros(2, 2)), push(x, w)];
    pushed.forEach((t, i) => expectNear(numbers(t), expected.derivatives.linearize[i]!));
    expect(() => push(torch.ones(3), w)).toThrow(
      "linearize: Expected tangent 0 to have shape torch.Size([2])",
    );
    const [pulled, ...others] = vjp((a: Tensor) => f(a, w), x)[1](torch.ones(2));
    expect(others).toEqual([]);
    expectNear(numbers(pulled), expected.derivatives.vjp);
    const rows = hessian((a: Tensor, b: Tensor) => f(a, b).sum(), { argnums: [0, 1] })(x, w);
    rows.forEach((row, i) =>
      row.forEach((h, j) => expectNear(numbers(h), expected.derivatives.hessian[i]![j]!)),
    );
  });

  test("gradFn has PyTorch's name", () => {
    const x = torch.ones(2, 2, { requiresGrad: true });
    const made = [
      x.add(1),
      x.detach(),
      x.mean(),
      x.matmul(x),
      F.relu(x),
      F.binaryCrossEntropyWithLogits(x, x.detach()),
    ];
    expect([x, ...made].map((t) => t.gradFn?.name() ?? null)).toEqual(expected.names);
    expect(String(made[0]!.gradFn)).toBe("<AddBackward0>");
    expect(torch.__version__).toBe("2.15.0");
  });

  test("causal masks of attention, inside sdpaKernel", () => {
    const { bias, sdpaKernel, SDPBackend } = nn.attention;
    torch.manualSeed(4);
    const [q, k, v] = [torch.randn(1, 2, 3, 4), torch.randn(1, 2, 5, 4), torch.randn(1, 2, 5, 4)];
    [bias.causalUpperLeft(3, 5), bias.causalLowerRight(3, 5)].forEach((attnMask, i) => {
      const attend = (): Tensor => F.scaledDotProductAttention(q, k, v, { attnMask });
      expectNear(numbers(sdpaKernel(SDPBackend.MATH, attend)), expected.masks[i]!);
      const several = [SDPBackend.MATH, SDPBackend.FLASH_ATTENTION];
      expectNear(numbers(sdpaKernel(several, { setPriority: true }, attend)), expected.masks[i]!);
    });
    expect(() => sdpaKernel(9 as never, () => q)).toThrow("Backend must be an instance of SDPBackend");
    expect(() => bias.causalUpperLeft(3)).toThrow("causal_upper_left only supports 2D tensors");
    const { cuda } = torch.backends;
    cuda.enableFlashSdp(false);
    expect([cuda.flashSdpEnabled(), cuda.mathSdpEnabled()]).toEqual([false, true]);
    cuda.enableFlashSdp(true);
  });
});
