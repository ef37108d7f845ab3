/** Proximal policy optimization (Schulman et al., 2017) on several cart-poles at once, in the manner of CleanRL. */
import { format, nn, optim, print, torch, type Tensor } from "layerwise";

const { Categorical } = torch.distributions;

torch.manualSeed(1);
export const losses: number[] = [];
export const checks: Record<string, number[]> = {};
const [NUM_ENVS, NUM_STEPS, NUM_UPDATES] = [4, 16, 6];
const [NUM_MINIBATCHES, UPDATE_EPOCHS] = [4, 2];
const [HIDDEN, MAX_EPISODE] = [32, 500];
const [LEARNING_RATE, GAMMA, GAE_LAMBDA] = [2.5e-3, 0.99, 0.95];
const [CLIP_COEF, ENT_COEF, VF_COEF, MAX_GRAD_NORM] = [0.2, 0.01, 0.5, 0.5];

/** A pole on a cart (Barto, Sutton & Anderson, 1983), Euler's method. */
class CartPole {
  state = [0.0, 0.0, 0.0, 0.0];
  steps = 0;

  reset(): number[] {
    this.state = torch.rand(4).mul(0.1).sub(0.05).tolist() as number[];
    this.steps = 0;
    return this.state;
  }

  step(action: number): [observation: number[], reward: number, done: boolean] {
    let [x, xDot, theta, thetaDot] = this.state;
    const force = action === 1 ? 10.0 : -10.0;
    const [cos, sin] = [Math.cos(theta), Math.sin(theta)];
    const temp = (force + 0.05 * thetaDot * thetaDot * sin) / 1.1;
    const thetaAcc = (9.8 * sin - cos * temp) / (0.5 * (4.0 / 3.0 - (0.1 * cos * cos) / 1.1));
    const xAcc = temp - (0.05 * thetaAcc * cos) / 1.1;
    [x, xDot] = [x + 0.02 * xDot, xDot + 0.02 * xAcc];
    [theta, thetaDot] = [theta + 0.02 * thetaDot, thetaDot + 0.02 * thetaAcc];
    this.state = [x, xDot, theta, thetaDot];
    this.steps += 1;
    const done = Math.abs(x) > 2.4 || Math.abs(theta) > (12 * 2 * Math.PI) / 360 || this.steps >= MAX_EPISODE;
    return [this.state, 1.0, done];
  }
}

/** Steps several environments, and starts each again at its end. */
class SyncVectorEnv {
  envs: CartPole[];
  lengths: number[] = [];

  constructor(numEnvs: number) {
    this.envs = Array.from({ length: numEnvs }, () => new CartPole());
  }

  reset(): number[][] {
    return this.envs.map((env) => env.reset());
  }

  step(actions: number[]): [observations: number[][], rewards: number[], dones: number[]] {
    const observations: number[][] = [];
    const rewards: number[] = [];
    const dones: number[] = [];
    for (const [i, env] of this.envs.entries()) {
      let [observation, reward, done] = env.step(actions[i]);
      if (done) {
        this.lengths.push(env.steps);
        observation = env.reset();
      }
      observations.push(observation);
      rewards.push(reward);
      dones.push(Number(done));
    }
    return [observations, rewards, dones];
  }
}

function layerInit(layer: nn.Linear, { std = Math.sqrt(2), biasConst = 0.0 } = {}): nn.Linear {
  nn.init.orthogonal_(layer.weight, std);
  nn.init.constant_(layer.bias!, biasConst);
  return layer;
}

class Agent extends nn.Module {
  critic: nn.Sequential;
  actor: nn.Sequential;

  constructor(obsDim: number, nActions: number) {
    super();
    this.critic = new nn.Sequential(
      layerInit(new nn.Linear(obsDim, HIDDEN)),
      new nn.Tanh(),
      layerInit(new nn.Linear(HIDDEN, HIDDEN)),
      new nn.Tanh(),
      layerInit(new nn.Linear(HIDDEN, 1), { std: 1.0 }),
    );
    this.actor = new nn.Sequential(
      layerInit(new nn.Linear(obsDim, HIDDEN)),
      new nn.Tanh(),
      layerInit(new nn.Linear(HIDDEN, HIDDEN)),
      new nn.Tanh(),
      layerInit(new nn.Linear(HIDDEN, nActions), { std: 0.01 }),
    );
  }

  getValue(x: Tensor): Tensor {
    return this.critic(x);
  }

  getActionAndValue(x: Tensor, action: Tensor | null = null): [Tensor, Tensor, Tensor, Tensor] {
    const logits = this.actor(x);
    const probs = new Categorical({ logits });
    action ??= probs.sample();
    return [action, probs.logProb(action), probs.entropy(), this.critic(x)];
  }
}

const batchSize = NUM_ENVS * NUM_STEPS;
const minibatchSize = Math.floor(batchSize / NUM_MINIBATCHES);
const envs = new SyncVectorEnv(NUM_ENVS);
const agent = new Agent(4, 2);
print(agent);
const optimizer = new optim.Adam(agent.parameters(), { lr: LEARNING_RATE, eps: 1e-5 });

const obs = torch.zeros([NUM_STEPS, NUM_ENVS, 4]);
const actions = torch.zeros([NUM_STEPS, NUM_ENVS]);
const logprobs = torch.zeros([NUM_STEPS, NUM_ENVS]);
const rewards = torch.zeros([NUM_STEPS, NUM_ENVS]);
const dones = torch.zeros([NUM_STEPS, NUM_ENVS]);
const values = torch.zeros([NUM_STEPS, NUM_ENVS]);

const floats = (list: number[] | number[][]): Tensor => torch.tensor(list, { dtype: torch.float32 });
let nextObs = floats(envs.reset());
let nextDone = torch.zeros(NUM_ENVS);
const explained: number[] = [];
const clipfracs: number[] = [];
const kls: number[] = [];

for (let update = 1; update <= NUM_UPDATES; update++) {
  const frac = 1.0 - (update - 1.0) / NUM_UPDATES;
  optimizer.paramGroups[0].lr = frac * LEARNING_RATE;

  for (let step = 0; step < NUM_STEPS; step++) {
    obs.indexPut_([step], nextObs);
    dones.indexPut_([step], nextDone);
    const [action, logprob] = torch.noGrad(() => {
      const [action, logprob, , value] = agent.getActionAndValue(nextObs);
      values.indexPut_([step], value.flatten());
      return [action, logprob];
    });
    actions.indexPut_([step], action);
    logprobs.indexPut_([step], logprob);
    const [observation, reward, done] = envs.step(action.tolist() as number[]);
    rewards.indexPut_([step], floats(reward).view(-1));
    [nextObs, nextDone] = [floats(observation), floats(done)];
  }

  // Generalized advantage estimation, from the last step back.
  const [advantages, returns] = torch.noGrad(() => {
    const nextValue = agent.getValue(nextObs).reshape(1, -1);
    const advantages = torch.zerosLike(rewards);
    let lastgaelam: Tensor | number = 0;
    for (let t = NUM_STEPS - 1; t >= 0; t--) {
      let [nextnonterminal, nextvalues] = [torch.sub(1.0, nextDone), nextValue];
      if (t < NUM_STEPS - 1) {
        nextnonterminal = torch.sub(1.0, dones.index(t + 1));
        nextvalues = values.index(t + 1);
      }
      const delta: Tensor = rewards
        .index(t)
        .add(nextvalues.mul(GAMMA).mul(nextnonterminal))
        .sub(values.index(t));
      lastgaelam = delta.add(nextnonterminal.mul(GAMMA * GAE_LAMBDA).mul(lastgaelam));
      advantages.indexPut_([t], lastgaelam);
    }
    return [advantages, advantages.add(values)];
  });

  const bObs = obs.reshape([-1, 4]);
  const bLogprobs = logprobs.reshape(-1);
  const bActions = actions.reshape(-1);
  const bAdvantages = advantages.reshape(-1);
  const bReturns = returns.reshape(-1);
  const bValues = values.reshape(-1);

  let approxKl!: Tensor;
  for (let epoch = 0; epoch < UPDATE_EPOCHS; epoch++) {
    const bInds = torch.randperm(batchSize);
    for (let start = 0; start < batchSize; start += minibatchSize) {
      const mbInds = bInds.index(`${start}:${start + minibatchSize}`);
      const [, newlogprob, entropy, newvalues] = agent.getActionAndValue(
        bObs.index(mbInds),
        bActions.long().index(mbInds),
      );
      const logratio = newlogprob.sub(bLogprobs.index(mbInds));
      const ratio = logratio.exp();
      torch.noGrad(() => {
        approxKl = ratio.sub(1).sub(logratio).mean();
        clipfracs.push(ratio.sub(1.0).abs().gt(CLIP_COEF).float().mean().item());
      });

      let mbAdvantages = bAdvantages.index(mbInds);
      mbAdvantages = mbAdvantages.sub(mbAdvantages.mean()).div(mbAdvantages.std().add(1e-8));

      const pgLoss1 = mbAdvantages.neg().mul(ratio);
      const pgLoss2 = mbAdvantages.neg().mul(torch.clamp(ratio, 1 - CLIP_COEF, 1 + CLIP_COEF));
      const pgLoss = torch.max(pgLoss1, pgLoss2).mean();

      const newvalue = newvalues.view(-1);
      const vLossUnclipped = newvalue.sub(bReturns.index(mbInds)).pow(2);
      const vClipped = bValues
        .index(mbInds)
        .add(torch.clamp(newvalue.sub(bValues.index(mbInds)), -CLIP_COEF, CLIP_COEF));
      const vLossClipped = vClipped.sub(bReturns.index(mbInds)).pow(2);
      const vLoss = torch.max(vLossUnclipped, vLossClipped).mean().mul(0.5);

      const entropyLoss = entropy.mean();
      const loss = pgLoss.sub(entropyLoss.mul(ENT_COEF)).add(vLoss.mul(VF_COEF));

      optimizer.zeroGrad();
      loss.backward();
      nn.utils.clipGradNorm_(agent.parameters(), MAX_GRAD_NORM);
      optimizer.step();
      losses.push(loss.item());
    }
  }
  kls.push(approxKl.item());

  const varY = torch.var(bReturns, { unbiased: false });
  explained.push(torch.sub(1, torch.var(bReturns.sub(bValues), { unbiased: false }).div(varY)).item());
  if (update % 3 === 0) {
    const recent = envs.lengths.slice(-10);
    const mean = recent.reduce((sum, length) => sum + length, 0) / Math.max(1, recent.length);
    print(`update ${update}, episodes ${envs.lengths.length}, mean length ${format(mean, ".1f")}`);
  }
}

checks["explained"] = explained;
checks["clipfracs"] = [clipfracs.reduce((sum, x) => sum + x, 0) / clipfracs.length];
checks["kl"] = kls;
checks["value"] = agent.getValue(nextObs).flatten().tolist() as number[];
