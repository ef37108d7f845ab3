/** REINFORCE on the cart and pole (Sutton & Barto; Williams, 1992), with returns that are normalised. */
import { F, format, nn, optim, print, torch, type Tensor } from "layerwise";

const { Categorical } = torch.distributions;

torch.manualSeed(543);
export const losses: number[] = [];
export const checks = { lengths: [] as number[] };
const [MAX_STEPS, HIDDEN, EPISODES] = [60, 32, 15];

/** The classic control problem in its usual constants. */
class CartPole {
  state: number[] = [];
  steps = 0;

  reset(): number[] {
    this.state = torch.rand(4).mul(0.1).sub(0.05).tolist() as number[];
    this.steps = 0;
    return this.state;
  }

  step(action: number): { state: number[]; reward: number; done: boolean } {
    const [x, xDot, theta, thetaDot] = this.state as [number, number, number, number];
    const force = action === 1 ? 10.0 : -10.0;
    const [cos, sin] = [Math.cos(theta), Math.sin(theta)];
    const temp = (force + 0.05 * thetaDot ** 2 * sin) / 1.1;
    const thetaAcc = (9.8 * sin - cos * temp) / (0.5 * (4.0 / 3.0 - (0.1 * cos ** 2) / 1.1));
    const xAcc = temp - (0.05 * thetaAcc * cos) / 1.1;
    this.state = [x + 0.02 * xDot, xDot + 0.02 * xAcc, theta + 0.02 * thetaDot, thetaDot + 0.02 * thetaAcc];
    this.steps += 1;
    const done =
      Math.abs(this.state[0]) > 2.4 ||
      Math.abs(this.state[2]) > (12 * Math.PI) / 180 ||
      this.steps >= MAX_STEPS;
    return { state: this.state, reward: 1.0, done };
  }
}

class Policy extends nn.Module {
  affine1 = new nn.Linear(4, HIDDEN);
  dropout = new nn.Dropout({ p: 0.2 });
  affine2 = new nn.Linear(HIDDEN, 2);
  savedLogProbs: Tensor[] = [];
  rewards: number[] = [];

  forward(x: Tensor): Tensor {
    x = this.affine1(x);
    x = this.dropout(x);
    x = F.relu(x);
    const actionScores = this.affine2(x);
    return F.softmax(actionScores, { dim: 1 });
  }
}

const env = new CartPole();
const policy = new Policy();
const optimizer = new optim.Adam(policy.parameters(), { lr: 1e-2 });
const eps = 1e-7;
const gamma = 0.99;

function selectAction(state: number[]): number {
  const probs = policy(torch.tensor(state).float().unsqueeze(0));
  const m = new Categorical(probs);
  const action = m.sample();
  policy.savedLogProbs.push(m.logProb(action));
  return action.item();
}

function finishEpisode(): void {
  let R = 0;
  const policyLosses: Tensor[] = [];
  const list: number[] = [];
  for (const r of [...policy.rewards].reverse()) {
    R = r + gamma * R;
    list.unshift(R);
  }
  let returns = torch.tensor(list);
  returns = returns.sub(returns.mean()).div(returns.std().add(eps));
  policy.savedLogProbs.forEach((logProb, i) => policyLosses.push(logProb.neg().mul(returns.index(i))));
  optimizer.zeroGrad();
  const policyLoss = torch.cat(policyLosses).sum();
  losses.push(policyLoss.item());
  policyLoss.backward();
  optimizer.step();
  policy.rewards = [];
  policy.savedLogProbs = [];
}

let runningReward = 10;
for (let episode = 1; episode <= EPISODES; episode++) {
  let state = env.reset();
  let epReward = 0;
  let t = 1;
  for (; t < 10000; t++) {
    const action = selectAction(state);
    const step = env.step(action);
    state = step.state;
    policy.rewards.push(step.reward);
    epReward += step.reward;
    if (step.done) break;
  }
  runningReward = 0.05 * epReward + (1 - 0.05) * runningReward;
  checks.lengths.push(t);
  finishEpisode();
  if (episode % 5 === 0)
    print(
      `Episode ${episode}\tLast reward: ${format(epReward, ".2f")}\tAverage reward: ${format(runningReward, ".2f")}`,
    );
}
