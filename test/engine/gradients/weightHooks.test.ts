// weightNorm and spectralNorm beside PyTorch: test/fixtures/weightHooks/make.py has the same programs.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { copy, F, nn, optim, torch, type Tensor } from "../../../extension/nn/index.ts";
import { onEachEngine } from "../../engines.ts";
import { expectNear, expectState, type State } from "../states.ts";

const { removeSpectralNorm, removeWeightNorm, spectralNorm, weightNorm } = nn.utils;

const expected = JSON.parse(
  readFileSync(new URL("../../fixtures/weightHooks/programs.json", import.meta.url), "utf8"),
) as {
  gan: { losses: number[]; evaluated: number[]; state: State[]; after: number[] };
  regression: { losses: number[]; state: State[]; after: number[] }[];
  errors: string[];
};

function train(optimizer: optim.Optimizer, loss: Tensor): void {
  optimizer.zeroGrad();
  loss.backward();
  optimizer.step();
}

onEachEngine(() => {
  test("a GAN with spectralNorm trains as in PyTorch", () => {
    torch.manualSeed(1);
    const generator = new nn.Sequential(
      new nn.Linear(3, 8),
      new nn.Unflatten(1, [2, 2, 2]),
      spectralNorm(new nn.ConvTranspose2d(2, 1, 2, 2)),
    );
    const first = spectralNorm(new nn.Conv2d(1, 4, 3, { padding: 1 }));
    const last = (): nn.Linear => spectralNorm(new nn.Linear(64, 1), { nPowerIterations: 2 });
    const critic = new nn.Sequential(first, new nn.LeakyReLU(0.2), new nn.Flatten(), last());
    const dOptimizer = new optim.Adam(critic.parameters(), { lr: 0.01 });
    const gOptimizer = new optim.Adam(generator.parameters(), { lr: 0.01 });
    const losses: number[] = [];
    for (let i = 0; i < 6; i++) {
      const real = torch.rand(4, 1, 4, 4);
      const fake = generator(torch.randn(4, 3));
      const hinge = F.relu(critic(real).neg().add(1)).mean();
      const dLoss = hinge.add(F.relu(critic(fake.detach()).add(1)).mean());
      train(dOptimizer, dLoss);
      const gLoss = critic(fake).mean().neg();
      train(gOptimizer, gLoss);
      losses.push(dLoss.item(), gLoss.item());
    }
    expectNear(losses, expected.gan.losses);
    critic.eval();
    const ones = torch.ones(2, 1, 4, 4);
    expectNear(critic(ones).flatten().tolist() as number[], expected.gan.evaluated);
    expectState(critic, expected.gan.state[0]!);
    expectNear(copy.deepcopy(critic)(ones).flatten().tolist() as number[], expected.gan.evaluated);
    removeSpectralNorm(first);
    expectState(critic, expected.gan.state[1]!);
    expectState(generator, expected.gan.state[2]!);
    expectNear(critic(ones).flatten().tolist() as number[], expected.gan.after);
  });

  test.each([0, 1, null])("a regression with weightNorm of dimension %s trains as in PyTorch", (dim) => {
    const wanted = expected.regression[dim ?? 2]!;
    torch.manualSeed(2);
    const first = weightNorm(new nn.Linear(4, 6), { dim });
    const net = new nn.Sequential(first, new nn.Tanh(), weightNorm(new nn.Linear(6, 1)));
    const optimizer = new optim.SGD(net.parameters(), { lr: 0.1 });
    const x = torch.randn(8, 4);
    const losses = Array.from({ length: 6 }, () => {
      const loss = F.mseLoss(net(x).squeeze(1), x.sum(1));
      train(optimizer, loss);
      return loss.item();
    });
    expectNear(losses, wanted.losses);
    expectState(net, wanted.state[0]!);
    removeWeightNorm(first);
    expectState(net, wanted.state[1]!);
    expectNear(net(x).flatten().tolist() as number[], wanted.after);
  });

  test.each(
    [
      () => weightNorm(weightNorm(new nn.Linear(2, 2))),
      () => spectralNorm(spectralNorm(new nn.Linear(2, 2))),
      () => removeWeightNorm(new nn.Linear(2, 2)),
      () => removeSpectralNorm(new nn.Linear(2, 2)),
      () => spectralNorm(new nn.Linear(2, 2), { nPowerIterations: 0 }),
    ].map((attempt, i) => [expected.errors[i]!, attempt] as const),
  )("%s", (error, attempt) => {
    expect(attempt).toThrow(error);
  });
});
