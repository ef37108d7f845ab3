/** Advantage actor-critic with a shared trunk on a windy corridor, with entropy bonus and smooth L1 values. */
import { F, nn, optim, print, torch, type Tensor } from "layerwise";

const { Categorical } = torch.distributions;

torch.manualSeed(1);
export const losses: number[] = [];
export const checks = { rewards: [] as number[] };
const [LENGTH, MAX_STEPS, HIDDEN, EPISODES] = [9, 30, 24, 12];

/** Walk from the middle to the right end; the wind may push one place to the left. */
class Corridor {
  readonly length: number;
  private position = 0;
  private time = 0;

  constructor(length = LENGTH) {
    this.length = length;
  }

  reset(): Tensor {
    this.position = Math.floor(this.length / 2);
    this.time = 0;
    return this.observe();
  }

  observe(): Tensor {
    return F.oneHot(torch.tensor(this.position), this.length).float();
  }

  step(action: number): [state: Tensor, reward: number, done: boolean] {
    this.position += action === 1 ? 1 : -1;
    if (torch.rand(1).item() < 0.2) this.position -= 1;
    this.position = Math.max(0, Math.min(this.length - 1, this.position));
    this.time += 1;
    const won = this.position === this.length - 1;
    return [this.observe(), won ? 1.0 : -0.05, won || this.time >= MAX_STEPS];
  }
}

class ActorCritic extends nn.Module {
  affine1: nn.Linear;
  action_head: nn.Linear;
  value_head: nn.Linear;

  constructor(inputs: number, actions: number, hidden = HIDDEN) {
    super();
    this.affine1 = new nn.Linear(inputs, hidden);
    this.action_head = new nn.Linear(hidden, actions);
    this.value_head = new nn.Linear(hidden, 1);
  }

  forward(x: Tensor): [Tensor, Tensor] {
    x = F.relu(this.affine1(x));
    const actionProb = F.softmax(this.action_head(x), { dim: -1 });
    const stateValues = this.value_head(x);
    return [actionProb, stateValues];
  }
}

const env = new Corridor();
const model = new ActorCritic(env.length, 2);
const optimizer = new optim.Adam(model.parameters(), { lr: 3e-2 });
const eps = torch.finfo(torch.float32).eps;

for (let episode = 0; episode < EPISODES; episode++) {
  let state = env.reset();
  const savedActions: [Tensor, Tensor][] = [];
  const rewards: number[] = [];
  const entropies: Tensor[] = [];
  let done = false;
  while (!done) {
    const [probs, stateValue] = model(state);
    const m = new Categorical(probs);
    const action = m.sample();
    savedActions.push([m.logProb(action), stateValue]);
    entropies.push(m.entropy());
    let reward: number;
    [state, reward, done] = env.step(action.item());
    rewards.push(reward);
  }
  let R = 0;
  const list: number[] = [];
  for (const r of [...rewards].reverse()) {
    R = r + 0.95 * R;
    list.unshift(R);
  }
  let returns = torch.tensor(list);
  returns = returns.sub(returns.mean()).div(returns.std().add(eps));
  const policyLosses: Tensor[] = [];
  const valueLosses: Tensor[] = [];
  savedActions.forEach(([logProb, value], i) => {
    const R = returns.index(i);
    const advantage = R.sub(value.item());
    policyLosses.push(logProb.neg().mul(advantage));
    valueLosses.push(F.smoothL1Loss(value, torch.tensor([R.item()])));
  });
  optimizer.zeroGrad();
  let loss = torch.stack(policyLosses).sum().add(torch.stack(valueLosses).sum());
  loss = loss.sub(torch.stack(entropies).sum().mul(0.01));
  loss.backward();
  nn.utils.clipGradNorm_(model.parameters(), 1.0);
  optimizer.step();
  losses.push(loss.item());
  checks.rewards.push(rewards.reduce((a, b) => a + b, 0));
  if (episode % 4 === 3) print(`episode ${episode + 1}: ${rewards.length} steps`);
}
