/** A hidden Markov model trained by the gradient of the forward algorithm, and decoded with Viterbi's. */
import { nn, optim, print, torch, type Tensor } from "layerwise";

torch.manualSeed(4);
export const losses: number[] = [];
export const checks: Record<string, number[]> = {};
const [STATES, SYMBOLS, LENGTH] = [5, 7, 8];
const [BATCH, STEPS, SEQUENCES] = [8, 20, 4];

class HMM extends nn.Module {
  initial = new nn.Parameter(torch.randn(STATES));
  transition = new nn.Parameter(torch.randn(STATES, STATES));
  emission = new nn.Parameter(torch.randn(STATES, SYMBOLS));

  logs(): [Tensor, Tensor, Tensor] {
    return [this.initial.logSoftmax(0), this.transition.logSoftmax(1), this.emission.logSoftmax(1)];
  }

  forward(x: Tensor): Tensor {
    const [initial, transition, emission] = this.logs();
    let alpha = initial.add(emission.index(":", x.index(":", 0)).t());
    for (let t = 1; t < x.size(1); t++)
      alpha = torch
        .logsumexp(alpha.unsqueeze(2).add(transition), { dim: 1 })
        .add(emission.index(":", x.index(":", t)).t());
    return torch.logsumexp(alpha, { dim: 1 });
  }

  viterbi(x: Tensor): [number, number[]] {
    return torch.noGrad((): [number, number[]] => {
      const [initial, transition, emission] = this.logs();
      let delta = initial.add(emission.index(":", x.index(0)));
      const back: Tensor[] = [];
      for (let t = 1; t < x.size(0); t++) {
        const [best, fromState] = delta.unsqueeze(1).add(transition).max({ dim: 0 });
        delta = best.add(emission.index(":", x.index(t)));
        back.push(fromState);
      }
      const [score, state] = delta.max({ dim: 0 });
      const path = [state.item()];
      for (const fromState of back.reverse()) path.push(fromState.index(path.at(-1)!).item());
      return [score.item(), path.reverse()];
    });
  }
}

function sequences(n: number): Tensor {
  const steps = torch.randint(0, 3, [n, LENGTH]);
  return torch
    .randint(0, SYMBOLS, [n, 1])
    .add(steps.cumsum({ dim: 1 }))
    .remainder(SYMBOLS);
}

const model = new HMM();
const optimizer = new optim.Adam(model.parameters(), { lr: 0.05 });
for (let step = 0; step < STEPS; step++) {
  const loss = model(sequences(BATCH)).mean().neg();
  optimizer.zeroGrad();
  loss.backward();
  optimizer.step();
  losses.push(loss.item());
}
const scores: number[] = [];
for (const x of sequences(SEQUENCES)) {
  const [score, path] = model.viterbi(x);
  scores.push(score);
  print("path:", path.join(" "));
}
print("sequences:", SEQUENCES);
checks["scores"] = scores;
