/** Deep Q-learning (Mnih et al., 2015) on a grid: replay memory, soft target updates, Huber loss, clipped values. */
import { nn, optim, print, torch, type Tensor } from "layerwise";

torch.manualSeed(3);
export const losses: number[] = [];
export const checks: Record<string, number[]> = {};
const SIZE = 4;
const BATCH = 16;
const HIDDEN = 32;
const [EPISODES, MAX_STEPS] = [8, 20];

/** From one corner to the other, round a pit. */
class Grid {
  private row = 0;
  private column = 0;

  reset(): Tensor {
    [this.row, this.column] = [0, 0];
    return this.observe();
  }

  observe(): Tensor {
    return torch
      .tensor([this.row / (SIZE - 1), this.column / (SIZE - 1), 1.0], { dtype: torch.float32 })
      .unsqueeze(0);
  }

  step(action: number): [observation: Tensor, reward: number, terminated: boolean] {
    const moves = [
      [-1, 0],
      [1, 0],
      [0, -1],
      [0, 1],
    ];
    this.row = Math.min(SIZE - 1, Math.max(0, this.row + moves[action][0]));
    this.column = Math.min(SIZE - 1, Math.max(0, this.column + moves[action][1]));
    if (this.row === 1 && this.column === 1) return [this.observe(), -1.0, true];
    const won = this.row === SIZE - 1 && this.column === SIZE - 1;
    return [this.observe(), won ? 1.0 : -0.02, won];
  }
}

class DQN extends nn.Module {
  layer1: nn.Linear;
  layer2: nn.Linear;
  layer3: nn.Linear;

  constructor(nObservations: number, nActions: number) {
    super();
    this.layer1 = new nn.Linear(nObservations, HIDDEN);
    this.layer2 = new nn.Linear(HIDDEN, HIDDEN);
    this.layer3 = new nn.Linear(HIDDEN, nActions);
  }

  forward(x: Tensor): Tensor {
    x = torch.relu(this.layer1(x));
    x = torch.relu(this.layer2(x));
    return this.layer3(x);
  }
}

interface Transition {
  state: Tensor;
  action: Tensor;
  nextState: Tensor | null;
  reward: Tensor;
}

const policyNet = new DQN(3, 4);
const targetNet = new DQN(3, 4);
targetNet.loadStateDict(policyNet.stateDict());
const optimizer = new optim.AdamW(policyNet.parameters(), { lr: 2e-3, amsgrad: true });
const memory: Transition[] = [];
let stepsDone = 0;

function selectAction(state: Tensor): Tensor {
  const sample = torch.rand(1).item();
  const threshold = 0.1 + 0.8 * Math.exp(-stepsDone / 60);
  stepsDone += 1;
  if (sample > threshold) return torch.noGrad(() => policyNet(state).max(1).indices.view(1, 1));
  return torch.randint(0, 4, [1, 1]);
}

function optimizeModel(): void {
  if (memory.length < BATCH) return;
  const picked = (torch.randint(0, memory.length, [BATCH]).tolist() as number[]).map((i) => memory[i]);
  const nextStates = picked.map((t) => t.nextState);
  const nonFinalMask = torch.tensor(
    nextStates.map((s) => s !== null),
    { dtype: torch.bool },
  );
  const nonFinalNextStates = torch.cat(nextStates.filter((s) => s !== null));
  const stateBatch = torch.cat(picked.map((t) => t.state));
  const actionBatch = torch.cat(picked.map((t) => t.action));
  const rewardBatch = torch.cat(picked.map((t) => t.reward));
  const stateActionValues = policyNet(stateBatch).gather(1, actionBatch);
  const nextStateValues = torch.zeros(BATCH);
  torch.noGrad(() => {
    nextStateValues.indexPut_([nonFinalMask], targetNet(nonFinalNextStates).max(1).values);
  });
  const expectedStateActionValues = nextStateValues.mul(0.95).add(rewardBatch);
  const criterion = new nn.SmoothL1Loss();
  const loss = criterion(stateActionValues, expectedStateActionValues.unsqueeze(1));
  losses.push(loss.item());
  optimizer.zeroGrad();
  loss.backward();
  nn.utils.clipGradValue_(policyNet.parameters(), 100);
  optimizer.step();
}

const env = new Grid();
const durations: number[] = [];
for (let episode = 0; episode < EPISODES; episode++) {
  let state = env.reset();
  let t = 0;
  for (; t < MAX_STEPS; t++) {
    const action = selectAction(state);
    const [observation, reward, terminated] = env.step(action.item());
    const nextState = terminated ? null : observation;
    memory.push({ state, action, nextState, reward: torch.tensor([reward], { dtype: torch.float32 }) });
    state = observation;
    optimizeModel();
    const targetNetStateDict = targetNet.stateDict();
    const policyNetStateDict = policyNet.stateDict();
    for (const [key, value] of policyNetStateDict)
      targetNetStateDict.set(key, value.mul(0.05).add(targetNetStateDict.get(key)!.mul(0.95)));
    targetNet.loadStateDict(targetNetStateDict);
    if (terminated) break;
  }
  durations.push(Math.min(t + 1, MAX_STEPS));
}
print("durations", durations);
checks["q"] = targetNet(env.reset()).index(0).tolist() as number[];
