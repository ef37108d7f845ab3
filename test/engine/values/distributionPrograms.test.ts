// Programs that train with distributions, beside PyTorch: test/fixtures/distributions/programs.py has the same lines.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { loadExecutor } from "../../../extension/executors/index.ts";
import { F, nn, optim, torch, type Tensor } from "../../../extension/nn/index.ts";
import { setExecutor } from "../../../extension/tensor/planning/barrier.ts";
import { changePolicy } from "../../../extension/tensor/recording/runtime.ts";
import { hasNative, onEachEngine } from "../../engines.ts";

const {
  Beta,
  Categorical,
  Independent,
  klDivergence,
  MixtureSameFamily,
  Normal,
  RelaxedOneHotCategorical,
  TanhTransform,
  TransformedDistribution,
} = torch.distributions;

interface Course {
  losses: number[];
  weights: number[];
  actions?: number[];
  sample?: number[];
}

const expected = JSON.parse(
  readFileSync(new URL("../../fixtures/distributions/programs.json", import.meta.url), "utf8"),
) as Record<string, Course>;

const weights = (...modules: nn.Module[]): number[] =>
  modules.flatMap((m) => [...m.parameters()].map((p) => p.sum().item()));

function train(optimizer: optim.Optimizer, loss: Tensor): number {
  optimizer.zeroGrad();
  loss.backward();
  optimizer.step();
  return loss.item();
}

const times = (n: number, body: () => number): number[] => Array.from({ length: n }, body);

const programs: Record<string, (steps?: number) => Course> = {
  reinforce() {
    torch.manualSeed(1);
    const policy = new nn.Sequential(new nn.Linear(4, 8), new nn.Tanh(), new nn.Linear(8, 3));
    const optimizer = new optim.Adam(policy.parameters(), { lr: 0.01 });
    const actions: number[] = [];
    const losses = times(6, () => {
      let state = torch.randn(4);
      const terms: Tensor[] = [];
      for (let i = 0; i < 5; i++) {
        const m = new Categorical({ logits: policy(state) });
        const action = m.sample();
        actions.push(action.item());
        const reward = action.item() === 1 ? 1 : -0.5;
        terms.push(m.logProb(action).neg().mul(reward).sub(m.entropy().mul(0.01)));
        state = state.add(0.1 * (action.item() - 1));
      }
      return train(optimizer, torch.stack(terms).sum());
    });
    return { losses, actions, weights: weights(policy) };
  },

  gaussian(steps = 8) {
    torch.manualSeed(2);
    const mean = new nn.Linear(3, 2);
    const logStd = new nn.Parameter(torch.zeros(2));
    const optimizer = new optim.Adam([...mean.parameters(), logStd], { lr: 0.02 });
    const losses = times(steps, () => {
      const states = torch.randn(16, 3);
      const policy = new Independent(new Normal(mean(states), logStd.exp()), 1);
      const action = policy.sample();
      const advantage = action.sub(1).pow(2).sum(-1).neg();
      const old = policy.logProb(action).detach();
      const now = new Independent(new Normal(mean(states), logStd.exp()), 1);
      const ratio = now.logProb(action).sub(old).exp();
      const clipped = ratio.clamp(0.8, 1.2).mul(advantage);
      const gain = torch.min(ratio.mul(advantage), clipped).mean();
      return train(optimizer, gain.neg().sub(policy.entropy().mean().mul(0.01)));
    });
    return { losses, weights: [...weights(mean), logStd.sum().item()] };
  },

  beta(steps = 6) {
    torch.manualSeed(3);
    const net = new nn.Linear(3, 4);
    const optimizer = new optim.SGD(net.parameters(), { lr: 0.05 });
    const losses = times(steps, () => {
      const [a, b] = F.softplus(net(torch.randn(5, 3)))
        .add(1)
        .chunk(2, -1) as [Tensor, Tensor];
      const policy = new Beta(a, b);
      const action = policy.rsample();
      const scores = policy.logProb(action.detach().clamp(0.01, 0.99));
      return train(optimizer, action.sub(0.3).pow(2).mean().add(scores.mean().mul(0.1)));
    });
    return { losses, weights: weights(net) };
  },

  sac(steps = 8) {
    torch.manualSeed(4);
    const [actor, critic] = [new nn.Linear(3, 4), new nn.Linear(5, 1)];
    const optimizer = new optim.Adam(actor.parameters(), { lr: 0.01 });
    const losses = times(steps, () => {
      const states = torch.randn(12, 3);
      const [mu, logStd] = actor(states).chunk(2, -1) as [Tensor, Tensor];
      const base = new Normal(mu, logStd.clamp(-5, 2).exp());
      const policy = new TransformedDistribution(base, new TanhTransform({ cacheSize: 1 }));
      const action = policy.rsample();
      const logProb = policy.logProb(action).sum(-1, { keepdim: true });
      return train(
        optimizer,
        logProb
          .mul(0.2)
          .sub(critic(torch.cat([states, action], -1)))
          .mean(),
      );
    });
    return { losses, weights: weights(actor) };
  },

  vae(steps = 10) {
    torch.manualSeed(5);
    const [encoder, decoder] = [new nn.Linear(6, 4), new nn.Linear(2, 6)];
    const optimizer = new optim.Adam([...encoder.parameters(), ...decoder.parameters()], { lr: 0.01 });
    const x = torch.rand(10, 6);
    const losses = times(steps, () => {
      const [mu, logvar] = encoder(x).chunk(2, -1) as [Tensor, Tensor];
      const q = new Normal(mu, logvar.mul(0.5).exp());
      const z = q.rsample();
      const kl = klDivergence(q, new Normal(0, 1)).sum(-1).mean();
      const reconstruction = F.binaryCrossEntropyWithLogits(decoder(z), x, { reduction: "sum" });
      return train(optimizer, reconstruction.div(10).add(kl));
    });
    return { losses, weights: weights(encoder, decoder) };
  },

  mdn(steps = 10) {
    torch.manualSeed(6);
    const net = new nn.Sequential(new nn.Linear(1, 8), new nn.Tanh(), new nn.Linear(8, 9));
    const optimizer = new optim.Adam(net.parameters(), { lr: 0.02 });
    const x = torch.linspace(-1, 1, 20).unsqueeze(1);
    const y = torch.sin(x.mul(3)).squeeze(1);
    const mixture = (): InstanceType<typeof MixtureSameFamily> => {
      const [logits, mu, logSigma] = net(x).chunk(3, -1) as [Tensor, Tensor, Tensor];
      return new MixtureSameFamily(new Categorical({ logits }), new Normal(mu, logSigma.exp()));
    };
    const losses = times(steps, () => train(optimizer, mixture().logProb(y).mean().neg()));
    const sample = torch.noGrad(() => mixture().sample()).tolist() as number[];
    return { losses, weights: weights(net), sample };
  },

  gumbel(steps = 6) {
    torch.manualSeed(7);
    const net = new nn.Linear(4, 3);
    const optimizer = new optim.SGD(net.parameters(), { lr: 0.1 });
    const x = torch.randn(6, 4);
    const target = torch.tensor([0, 1, 2], { dtype: torch.float32 });
    const losses = times(steps, () => {
      const z = new RelaxedOneHotCategorical(torch.tensor(0.8), { logits: net(x) }).rsample();
      return train(optimizer, z.matmul(target).sub(1).pow(2).mean());
    });
    return { losses, weights: weights(net) };
  },
};

function near(actual: readonly number[], wanted: readonly number[], digits = 5): void {
  expect(actual.length).toBe(wanted.length);
  actual.forEach((x, i) => expect(x, `place ${i}`).toBeCloseTo(wanted[i]!, digits));
}

onEachEngine(() => {
  test.each(Object.keys(expected))("%s trains as in PyTorch", (name) => {
    const { losses, weights, actions, sample } = programs[name]!();
    near(losses, expected[name]!.losses, 4);
    near(weights, expected[name]!.weights, 4);
    if (actions !== undefined) expect(actions).toEqual(expected[name]!.actions);
    if (sample !== undefined) near(sample, expected[name]!.sample!, 4);
  });
});

test.skipIf(!hasNative).each(["gaussian", "beta", "sac", "vae", "mdn", "gumbel"])(
  "%s has the same graphs at every step",
  async (name) => {
    const executor = await loadExecutor("native");
    changePolicy({ smallPlans: false });
    const grown = (steps: number): Record<string, number> => {
      const before = executor.counters();
      programs[name]!(steps);
      const after = executor.counters();
      const keys = ["compiled", "recompiled", "fellBack", "interpreted"];
      return Object.fromEntries(keys.map((key) => [key, after[key]! - before[key]!]));
    };
    // Graphs without weights, such as what a sample reads, are shared by all models: compiled at their second sight.
    for (let i = 0; i < 3; i++) programs[name]!(8);
    const few = grown(8);
    expect(few["compiled"]).toBeGreaterThan(0);
    expect(grown(40)).toEqual(few);
    changePolicy({ smallPlans: true });
    setExecutor(undefined);
  },
);
