// Programs of steps that repeat each other, and that break the pattern.
import { F, nn, optim, torch, type Tensor } from "../../../extension/nn/index.ts";
import { observe } from "../../../extension/tensor/recording/runtime.ts";

export interface Session {
  model: nn.Sequential;
  optimizer: optim.Optimizer;
  x: Tensor;
  y: Tensor;
  criterion: nn.CrossEntropyLoss;
  /** Forward and backward. */
  backward: (batch?: Tensor) => Tensor;
  step: (batch?: Tensor) => Tensor;
}

export function session(optimizer: (model: nn.Module) => optim.Optimizer = adam): Session {
  torch.manualSeed(5);
  const model = new nn.Sequential(
    new nn.Linear(6, 8),
    new nn.Tanh(),
    new nn.Dropout(0.2),
    new nn.Linear(8, 3),
  );
  const own = optimizer(model);
  const [x, y] = [torch.randn(10, 6), torch.randint(0, 3, [10])];
  const criterion = new nn.CrossEntropyLoss();
  const backward = (batch = x): Tensor => {
    const loss = criterion(model(batch), y);
    loss.backward();
    return loss;
  };
  return {
    model,
    optimizer: own,
    x,
    y,
    criterion,
    backward,
    step(batch) {
      own.zeroGrad();
      const loss = backward(batch);
      own.step();
      return loss;
    },
  };
}

export const adam = (model: nn.Module): optim.Optimizer => new optim.Adam(model.parameters(), { lr: 0.05 });
export const sgd = (model: nn.Module): optim.Optimizer =>
  new optim.SGD(model.parameters(), { lr: 0.1, momentum: 0.9 });

export const part = (model: nn.Sequential, index: number): nn.Linear => model.get(index) as nn.Linear;

/** Programs that break the pattern in the middle; each answers all numbers it has seen. */
export const PROGRAMS: Record<string, () => number[]> = {
  "the same step over and over": () => {
    const { step } = session();
    return Array.from({ length: 20 }, () => step().item());
  },
  "losses read long after their steps": () => {
    const { step } = session();
    return Array.from({ length: 40 }, () => step()).map((loss) => loss.item());
  },
  "more steps than a call has": () => {
    const { step } = session(sgd);
    return Array.from({ length: 350 }, () => step()).map((loss) => loss.item());
  },
  "a gradient read before the step, now and then": () => {
    const { model, optimizer, backward } = session();
    return Array.from({ length: 16 }, (_, i) => {
      optimizer.zeroGrad();
      const loss = backward();
      const norm = i % 5 === 3 ? part(model, 0).weight.grad!.abs().sum().item() : 0;
      optimizer.step();
      return loss.item() + norm;
    });
  },
  "batches whose size only a gradient has": () => {
    const weight = new nn.Parameter(torch.zeros(3));
    const optimizer = new optim.SGD([weight], { lr: 0.1 });
    const values: number[] = [];
    for (const size of [4, 4, 4, 4, 4, 4, 2, 4, 2, 2, 5, 4, 4]) {
      optimizer.zeroGrad();
      // The sum is not read: nothing needs the batch's numbers.
      weight.add(torch.randn(size, 3)).sum().backward();
      optimizer.step();
      if (values.length % 3 === 2) values.push(weight.sum().item());
      else values.push(0);
    }
    return [...values, ...(weight.tolist() as number[])];
  },
  "a gradient read after the step": () => {
    const { model, step } = session(sgd);
    return Array.from({ length: 12 }, () => step().item() + part(model, 3).bias!.grad!.sum().item());
  },
  "a gradient that is computed with the step": () => {
    const { model, optimizer, backward } = session(sgd);
    const made = Array.from({ length: 12 }, () => {
      optimizer.zeroGrad();
      const loss = backward();
      const gradient = part(model, 3).bias!.grad!;
      observe(gradient.value);
      optimizer.step();
      return [loss, gradient];
    });
    return made.flatMap(([loss, gradient]) => [loss!.item(), ...gradient!.toTypedArray()]);
  },
  "a loss read before the step": () => {
    const { model, optimizer, criterion, x, y } = session();
    return Array.from({ length: 12 }, () => {
      optimizer.zeroGrad();
      const loss = criterion(model(x), y);
      const value = loss.item();
      loss.backward();
      optimizer.step();
      return value;
    });
  },
  "gradients clipped": () => {
    const { model, optimizer, backward } = session(sgd);
    return Array.from({ length: 12 }, () => {
      optimizer.zeroGrad();
      const loss = backward();
      const norm = nn.utils.clipGradNorm_(model.parameters(), 0.1);
      optimizer.step();
      return loss.item() + norm.item();
    });
  },
  "gradients of several batches added up": () => {
    const { optimizer, backward, x } = session(sgd);
    const other = x.mul(-1);
    return Array.from({ length: 8 }, () => {
      optimizer.zeroGrad();
      const losses = [backward(), backward(other), backward()];
      optimizer.step();
      return losses.map((loss) => loss.item());
    }).flat();
  },
  "a layer frozen and thawed": () => {
    const { model, step } = session();
    return Array.from({ length: 18 }, (_, i) => {
      if (i === 6) model.get(0).requiresGrad_(false);
      if (i === 12) model.get(0).requiresGrad_(true);
      return step().item();
    });
  },
  "a hook that comes and goes": () => {
    const { model, step } = session();
    let handle: { remove: () => void } | undefined;
    const losses = Array.from({ length: 15 }, (_, i) => {
      if (i === 5) handle = part(model, 0).weight.registerHook((g) => g.mul(2));
      if (i === 10) handle!.remove();
      return step().item();
    });
    return losses;
  },
  "weights written between steps": () => {
    const { model, step } = session();
    return Array.from({ length: 15 }, (_, i) => {
      if (i % 6 === 5) torch.noGrad(() => part(model, 3).weight.mul_(0.5));
      return step().item();
    });
  },
  "evaluation between steps": () => {
    const { model, step, x } = session();
    return Array.from({ length: 12 }, () => {
      const loss = step();
      model.eval();
      const mean = torch.noGrad(() => model(x).mean());
      model.train();
      return [loss.item(), mean.item()];
    }).flat();
  },
  "batches of two sizes": () => {
    const { model, optimizer, criterion, x, y } = session();
    return Array.from({ length: 16 }, (_, i) => {
      const n = i % 4 === 3 ? 5 : 10;
      optimizer.zeroGrad();
      const loss = criterion(model(x.narrow(0, 0, n)), y.narrow(0, 0, n));
      loss.backward();
      optimizer.step();
      return loss.item();
    });
  },
  "a learning rate that changes every step": () => {
    const { optimizer, step } = session();
    const schedule = new optim.lrScheduler.ExponentialLR(optimizer, 0.9);
    return Array.from({ length: 15 }, () => {
      const loss = step();
      schedule.step();
      return loss;
    }).map((loss) => loss.item());
  },
  "recurrent layers": () =>
    [nn.RNN, nn.LSTM, nn.GRU].flatMap((Layer) => {
      torch.manualSeed(3);
      const layer = new (Layer as typeof nn.RNN)(3, 4, { batchFirst: true });
      const optimizer = adam(layer);
      const [x, y] = [torch.randn(5, 6, 3), torch.randn(5, 4)];
      return Array.from({ length: 10 }, () => {
        optimizer.zeroGrad();
        const [out] = layer(x);
        const loss = F.mseLoss(out.select(1, -1), y);
        loss.backward();
        optimizer.step();
        return loss.item();
      });
    }),
  "two models in turn": () => {
    const [a, b] = [session(), session(sgd)];
    return Array.from({ length: 12 }, () => [a.step(), b.step(), b.step()])
      .flat()
      .map((loss) => loss.item());
  },
  "a part of the input that becomes constant, and changes again": () => {
    const { step, x } = session();
    const others = Array.from({ length: 4 }, (_, i) => torch.randn(10, 6).add(i));
    const order = [...others, ...Array<Tensor>(30).fill(x), ...others];
    return order.map((batch) => step(batch)).map((loss) => loss.item());
  },
};
