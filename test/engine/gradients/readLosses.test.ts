// A loss, or a norm of gradients, that a program reads between `backward()` and `step()`.
import { expect, it } from "vitest";
import { F, nn, optim, torch, type Tensor } from "../../../extension/nn/index.ts";
import { runtime } from "../../../extension/tensor/recording/runtime.ts";
import { onEachEngine } from "../../engines.ts";

const expectClose = (given: readonly number[][], expected: readonly number[][]): void =>
  given.forEach((values, i) => {
    expect(values).toHaveLength(expected[i]!.length);
    values.forEach((value, j) => expect(value).toBeCloseTo(expected[i]![j]!, 5));
  });

interface Reads {
  /** How many batches are added up for a step. */
  batches?: number;
  loss?: boolean;
  norm?: boolean;
  /** Whether gradients are read before and after the step. */
  gradients?: boolean;
}

onEachEngine((_, executor) => {
  /** Trains two equal models in turn. Answers all that was read, and the weights. */
  function trained(
    { batches = 1, loss, norm, gradients }: Reads,
    steps = 5,
    then = (): void => {},
  ): number[][] {
    torch.manualSeed(5);
    const models = [0, 1].map(
      () =>
        new nn.Sequential(
          new nn.Linear(6, 8, { bias: false }),
          new nn.BatchNorm1d(8),
          new nn.ReLU(),
          new nn.Linear(8, 3),
        ),
    );
    const parts = models.map((model) => ({
      model,
      optimizer: new optim.AdamW(model.parameters(), { lr: 0.01 }),
    }));
    const [x, y] = [torch.randn(4, 10, 6), torch.randint(0, 3, [4, 10])];
    const seen: number[] = [];
    const see = (value: Tensor): void => void seen.push(...(value.flatten().tolist() as number[]));
    for (let step = 0; step < steps; step++) {
      for (const { model, optimizer } of parts) {
        optimizer.zeroGrad();
        for (let batch = 0; batch < batches; batch++) {
          const value = F.crossEntropy(model(x.index((step + batch) % 4)), y.index((step + batch) % 4));
          value.div(batches).backward();
          if (loss === true) value.item();
          if (gradients === true) see(model.parameters()[0]!.grad!);
        }
        const total = nn.utils.clipGradNorm_(model.parameters(), 0.5);
        if (norm === true) total.item();
        optimizer.step();
        see(total);
        if (gradients === true) see(model.parameters()[2]!.grad!);
      }
      then();
    }
    return [seen, ...models.flatMap((model) => model.parameters().map((p) => [...p.toTypedArray()]))];
  }

  const CASES: [string, Reads][] = [
    ["a loss", { loss: true }],
    ["a norm", { norm: true }],
    ["both", { loss: true, norm: true }],
    ["losses of batches that are added up", { loss: true, batches: 3 }],
    ["all of them", { loss: true, norm: true, batches: 3 }],
  ];

  it.each(CASES)("reading %s changes no number", (_, reads) => {
    const { batches = 1 } = reads;
    const expected = trained({ batches });
    expectClose(trained(reads), expected);
    expectClose(trained({ ...reads, gradients: true }), trained({ batches, gradients: true }));
  });

  /** Matrix products that are computed. */
  function products(body: () => void): number {
    const executor = runtime.executor!;
    const run = executor.run.bind(executor);
    let count = 0;
    executor.run = (plan, inspector) => {
      count += plan.nodes.filter(({ op }) => op.name === "matmul").length;
      run(plan, inspector);
    };
    try {
      body();
    } finally {
      Reflect.deleteProperty(executor, "run");
    }
    return count;
  }

  it.each(CASES)("reading %s has no product computed twice", (_, reads) => {
    const { batches = 1 } = reads;
    expect(products(() => trained(reads, 2))).toBe(products(() => trained({ batches }, 2)));
  });

  it("masks that are read within a forward are computed by themselves", () => {
    const given = [0, 1, 2, 1, 0, 2, 2, 1];
    const kinds = torch.tensor(given);
    /** Losses, and how many values of the forward the plans without products go through. */
    const run = (reads: boolean): [losses: number[], held: number] => {
      torch.manualSeed(3);
      const experts = new nn.ModuleList([0, 1, 2].map(() => new nn.Linear(4, 4)));
      const optimizer = new optim.SGD(experts.parameters(), { lr: 0.1 });
      const x = torch.randn(8, 4);
      const executor = runtime.executor!;
      const compute = executor.run.bind(executor);
      let held = 0;
      executor.run = (plan, inspector) => {
        if (!plan.nodes.some(({ op }) => op.name === "matmul")) held += plan.held.length;
        compute(plan, inspector);
      };
      const losses: number[] = [];
      try {
        for (let step = 0; step < 3; step++) {
          let out = x;
          for (const [i, expert] of experts.entries()) {
            const places = [...given.keys()].filter((k) => given[k] === i);
            // Whose size is known when its values are: `nonzero` reads them.
            const chosen = reads
              ? kinds
                  .mul(2)
                  .eq(2 * i)
                  .nonzero()
                  .squeeze(1)
              : torch.tensor(places);
            out = out.indexAdd(0, chosen, expert(out.index(chosen)).tanh());
          }
          const loss = out.square().mean();
          optimizer.zeroGrad();
          loss.backward();
          optimizer.step();
          losses.push(loss.item());
        }
      } finally {
        Reflect.deleteProperty(executor, "run");
      }
      return [losses, held];
    };
    const [losses, held] = run(true);
    expectClose([losses], [run(false)[0]]);
    expect(held).toBe(0);
  });

  it("a mask that is read after a forward leaves that to the step", () => {
    const run = (reads: boolean, steps: number): number[] => {
      torch.manualSeed(6);
      const norm = new nn.BatchNorm1d(8);
      const model = new nn.Sequential(new nn.Linear(6, 8, { bias: false }), norm, new nn.Linear(8, 3));
      const optimizer = new optim.SGD(model.parameters(), { lr: 0.1 });
      const [x, y] = [torch.randn(10, 6), torch.randint(0, 3, [10])];
      const seen: number[] = [];
      for (let step = 0; step < steps; step++) {
        optimizer.zeroGrad();
        const output = model(x);
        const mask = y.ne(step % 3);
        if (reads) seen.push(mask.sum().item());
        F.crossEntropy(output, y, { reduction: "none" }).mul(mask.float()).mean().backward();
        optimizer.step();
      }
      const { runningMean, numBatchesTracked } = norm;
      if (!reads)
        seen.push(
          ...Array.from({ length: steps }, (_, step) =>
            y
              .ne(step % 3)
              .sum()
              .item(),
          ),
        );
      return [
        ...seen,
        ...[runningMean!, numBatchesTracked!, ...model.parameters()].flatMap((t) => [...t.toTypedArray()]),
      ];
    };
    expect(products(() => run(true, 2))).toBe(products(() => run(false, 2)));
    expectClose([run(true, 5)], [run(false, 5)]);
  });

  it("writes are computed with what is made of them, and after many reads of other values", () => {
    torch.manualSeed(7);
    const norm = new nn.BatchNorm1d(4, { affine: false });
    const x = torch.randn(6, 4);
    const other = torch.ones(3);
    for (let i = 0; i < 200; i++) {
      torch.noGrad(() => norm(x));
      expect(other.mul(i).sum().item()).toBe(3 * i);
    }
    expect(norm.numBatchesTracked!.item()).toBe(200);
    expect(norm.runningMean!.sub(x.mean(0)).abs().max().item()).toBeLessThan(1e-5);
  });

  it("leaves no tensor behind", () => {
    const counts: number[] = [];
    const count = (): void => void counts.push(executor().counters()["tensors"]!);
    trained({ loss: true, norm: true, batches: 3 }, 12, count);
    expect(counts[11]).toBe(counts[7]);
  });
});
