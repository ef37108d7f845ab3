// Programs of truncated backpropagation, as in test/fixtures/autograd/make.py.
import { F, nn, optim, torch, type Tensor } from "../../../extension/nn/index.ts";

type States = Tensor | Tensor[] | undefined;
type Step = (x: Tensor, states: States) => [Tensor, States];

interface Trained {
  losses: Tensor[];
  states: States;
}

/** Losses of truncated backpropagation: `step` gives the output and the next states. */
export function trained(model: nn.Module, first: States, step: Step, steps = 8): Trained {
  const optimizer = new optim.SGD(model.parameters(), { lr: 0.1 });
  const [xs, target] = [torch.randn(steps, 5, 2, 3), torch.randn(5, 2, 2)];
  const losses: Tensor[] = [];
  let states = first;
  // Iterating gives views, each of another place: another graph for each step.
  for (const x of Array.from(xs, (one) => torch.tensor(one.tolist(), { dtype: torch.float32 }))) {
    const [y, next] = step(x, states);
    states = next;
    const loss = F.mseLoss(y, target);
    optimizer.zeroGrad();
    loss.backward();
    optimizer.step();
    losses.push(loss);
  }
  return { losses, states };
}

type Layer = nn.RNN | nn.GRU | nn.LSTM;

class Recurrent extends nn.Module {
  layer: Layer;
  fc = new nn.Linear(4, 2);
  state: States;

  /** @param layer made first, as in PyTorch's program: it draws its weights before the others */
  constructor(layer: Layer) {
    super();
    this.layer = layer;
  }

  forward(x: Tensor, state?: States, features?: Tensor[]): [Tensor, States] {
    const [y, next] = (this.layer as nn.RNN)(x, state as Tensor) as [Tensor, States];
    const f = y.relu();
    features?.push(f);
    this.state = next;
    return [this.fc(f), next];
  }
}

const LAYERS = { RNN: () => new nn.RNN(3, 4), GRU: () => new nn.GRU(3, 4), LSTM: () => new nn.LSTM(3, 4) };
export const made = (Type: keyof typeof LAYERS = "RNN"): Recurrent => {
  torch.manualSeed(0);
  return new Recurrent(LAYERS[Type]());
};
export const zeros = (): Tensor => torch.zeros(1, 2, 4);
const list = (states: States): Tensor[] =>
  states === undefined ? [] : Array.isArray(states) ? states : [states];
export const all = ({ losses, states }: Trained, ...more: Tensor[]): Tensor[] => [
  ...losses,
  ...list(states),
  ...more,
];

/** Each returns what it computes. */
export const PROGRAMS: Record<string, (steps?: number) => Tensor[]> = {
  "a state is detached": (steps) => {
    const model = made();
    return all(trained(model, zeros(), (x, h) => model(x, (h as Tensor).detach()), steps));
  },
  "a state is detached where it is made": (steps) => {
    const model = made("GRU");
    const step: Step = (x, h) => {
      const [y, next] = model(x, h);
      return [y, (next as Tensor).detach()];
    };
    return all(trained(model, zeros(), step, steps));
  },
  "two states are detached": (steps) => {
    const model = made("LSTM");
    const step: Step = (x, s) =>
      model(
        x,
        (s as Tensor[]).map((h) => h.detach()),
      );
    return all(trained(model, [zeros(), zeros()], step, steps));
  },
  "a state is detached in place": (steps) => {
    const model = made("GRU");
    return all(trained(model, zeros(), (x, h) => model(x, (h as Tensor).detach_()), steps));
  },
  "a state is a property": (steps) => {
    const model = made("GRU");
    const { losses } = trained(
      model,
      undefined,
      (x) => model(x, (model.state as Tensor | undefined)?.detach()),
      steps,
    );
    return [...losses, model.state as Tensor];
  },
  "states in a map": (steps) => {
    const [model, states] = [made("GRU"), new Map([["h", zeros()]])];
    const step: Step = (x) => {
      const [y, h] = model(x, states.get("h")!.detach());
      states.set("h", h as Tensor);
      return [y, undefined];
    };
    return all(trained(model, undefined, step, steps), states.get("h")!);
  },
  "the state of three steps ago": (steps) => {
    const [model, first] = [made(), zeros()];
    const states = [first, first, first];
    const step: Step = (x) => {
      const [y, h] = model(x, states.at(-3)!.detach());
      states.push(h as Tensor);
      return [y, undefined];
    };
    return all(trained(model, undefined, step, steps), ...states);
  },
  "unused states are read at the end": (steps) => {
    const [model, states] = [made("LSTM"), [] as Tensor[]];
    const step: Step = (x) => {
      const [y, s] = model(x);
      states.push(...list(s));
      return [y, undefined];
    };
    return all(trained(model, undefined, step, steps), ...states);
  },
  "features in a list": (steps) => {
    const [model, features] = [made(), [] as Tensor[]];
    const result = trained(model, undefined, (x) => [model(x, undefined, features)[0], undefined], steps);
    return all(result, ...features.map((f) => f.sum()));
  },
  "features seen by a hook": (steps) => {
    const [model, seen] = [made(), [] as Tensor[]];
    model.fc.registerForwardHook((_, input) => void seen.push(input[0] as Tensor));
    const result = trained(model, undefined, (x) => [model(x)[0], undefined], steps);
    return all(result, ...seen.map((f) => f.sum()));
  },
  "features that only forward knows": (steps) => {
    const kept: Tensor[] = [];
    class Hidden extends Recurrent {
      override forward(x: Tensor, state?: States): [Tensor, States] {
        const [y, next] = (this.layer as nn.RNN)(x, state as Tensor) as [Tensor, States];
        kept.push(y.relu().square().detach());
        return [this.fc(y), next];
      }
    }
    torch.manualSeed(0);
    const model = new Hidden(new nn.RNN(3, 4));
    const result = trained(model, undefined, (x) => [model(x)[0], undefined], steps);
    return all(result, ...kept.map((f) => f.sum()));
  },
  "attention weights": (steps) => {
    class Attending extends nn.Module {
      up = new nn.Linear(3, 4);
      attention = new nn.MultiheadAttention(4, 2);
      fc = new nn.Linear(4, 2);
      forward(x: Tensor): [Tensor, Tensor] {
        const up = this.up(x);
        const [y, weights] = this.attention(up, up, up);
        return [this.fc(y), weights!];
      }
    }
    torch.manualSeed(0);
    const [model, seen] = [new Attending(), [] as Tensor[]];
    const step: Step = (x) => {
      const [y, weights] = model(x);
      seen.push(weights);
      return [y, undefined];
    };
    const result = trained(model, undefined, step, steps);
    return all(result, ...seen.map((w) => w.narrow(2, 0, 1).sum()));
  },
  "evaluations before and after the step": (steps) => {
    const [model, seen] = [made("GRU"), [] as [Tensor, States][]];
    const x0 = torch.ones(5, 2, 3);
    const step: Step = (x, h) => {
      seen.push(torch.noGrad(() => model(x0, h)));
      return model(x, (h as Tensor).detach());
    };
    const result = trained(model, zeros(), step, steps);
    return all(result, ...seen.map(([y]) => y.sum()), ...seen.map(([, h]) => (h as Tensor).sum()));
  },
  "two forwards of a step": (steps) => {
    const model = made("GRU");
    const step: Step = (x, h) => {
      const [y, middle] = model(x, (h as Tensor).detach());
      const [z, next] = model(x.flip(0), middle);
      return [y.add(z), next];
    };
    return all(trained(model, zeros(), step, steps));
  },
  "two models share a state": (steps) => {
    const a = made("GRU");
    const b = new Recurrent(new nn.GRU(3, 4));
    const second = new optim.Adam(b.parameters(), { lr: 0.05 });
    const step: Step = (x, h) => {
      const [z, next] = b(x, (h as Tensor).detach());
      second.zeroGrad();
      z.square().mean().backward();
      second.step();
      return a(x, (next as Tensor).detach());
    };
    return all(trained(a, zeros(), step, steps));
  },
  "a norm from before the update": (steps) => {
    const [model, norms] = [made(), [] as Tensor[]];
    const step: Step = (x) => {
      norms.push(model.fc.weight.norm(), model.fc.weight.mul(2));
      return [model(x)[0], undefined];
    };
    return all(trained(model, undefined, step, steps), ...norms);
  },
};
