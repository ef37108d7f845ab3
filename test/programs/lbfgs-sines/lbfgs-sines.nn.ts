/** Two LSTM cells that learn to continue sines, trained on whole sequences with L-BFGS. */
import { format, nn, optim, print, torch, type Tensor } from "layerwise";

torch.manualSeed(0);
export const losses: number[] = [];
export const checks: Record<string, number[]> = {};
const [HIDDEN, WAVES, LENGTH, STEPS, FUTURE] = [12, 6, 20, 3, 8];

class Sequence extends nn.Module {
  lstm1 = new nn.LSTMCell(1, HIDDEN);
  lstm2 = new nn.LSTMCell(HIDDEN, HIDDEN);
  linear = new nn.Linear(HIDDEN, 1);

  forward(input: Tensor, { future = 0 } = {}): Tensor {
    const outputs: Tensor[] = [];
    let hT = torch.zeros(input.size(0), HIDDEN);
    let cT = torch.zeros(input.size(0), HIDDEN);
    let hT2 = torch.zeros(input.size(0), HIDDEN);
    let cT2 = torch.zeros(input.size(0), HIDDEN);
    let output = input;
    for (const inputT of input.split(1, { dim: 1 })) {
      [hT, cT] = this.lstm1(inputT, [hT, cT]);
      [hT2, cT2] = this.lstm2(hT, [hT2, cT2]);
      output = this.linear(hT2);
      outputs.push(output);
    }
    for (let i = 0; i < future; i++) {
      [hT, cT] = this.lstm1(output, [hT, cT]);
      [hT2, cT2] = this.lstm2(hT, [hT2, cT2]);
      output = this.linear(hT2);
      outputs.push(output);
    }
    return torch.cat(outputs, { dim: 1 });
  }
}

const t = torch.arange(LENGTH).float();
const phases = torch.randint(-20, 20, [WAVES, 1]).float();
const waves = torch.sin(t.add(phases).div(3));
const [input, target] = [waves.index("1:", ":-1"), waves.index("1:", "1:")];
const [testInput, testTarget] = [waves.index(":1", ":-1"), waves.index(":1", "1:")];
const seq = new Sequence();
const criterion = new nn.MSELoss();
const optimizer = new optim.LBFGS(seq.parameters(), { lr: 0.5, maxIter: 5 });
let pred = testInput;
for (let i = 0; i < STEPS; i++) {
  print("STEP:", i);
  optimizer.step(() => {
    optimizer.zeroGrad();
    const out = seq(input);
    const loss = criterion(out, target);
    losses.push(loss.item());
    loss.backward();
    return loss;
  });
  torch.noGrad(() => {
    pred = seq(testInput, { future: FUTURE });
    const loss = criterion(pred.index(":", `:${-FUTURE}`), testTarget);
    print(`test loss: ${format(loss.item(), ".2f")}`);
  });
}
checks["future"] = pred.index(0, "-8:").tolist() as number[];
