// torch.nn.utils.prune beside PyTorch: test/fixtures/prune/make.py has the same programs.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { copy, F, nn, optim, torch, type Tensor } from "../../../extension/nn/index.ts";
import { onEachEngine } from "../../engines.ts";
import { expectNear, expectState, type State } from "../states.ts";

const { prune } = nn.utils;

interface Applied {
  once: State;
  zeros: number[][];
  next: number[];
}

const expected = JSON.parse(
  readFileSync(new URL("../../fixtures/prune/programs.json", import.meta.url), "utf8"),
) as {
  methods: Record<string, Applied>;
  globally: { zeros: number[][]; pruned: boolean[]; state: State };
  training: {
    losses: number[];
    state: State[];
    zeros: number[];
    after: number[];
    twin: number[];
    pruned: boolean[];
    last: number[];
  };
  errors: string[];
};

const numbers = (x: Tensor): number[] => x.flatten().tolist() as number[];
const zeros = (x: Tensor): number[] => numbers(x.eq(0).long());

const METHODS: Readonly<Record<string, (m: nn.Linear) => unknown>> = {
  identity: (m) => prune.identity(m, "weight"),
  random: (m) => prune.randomUnstructured(m, "weight", 0.3),
  l1: (m) => prune.l1Unstructured(m, "weight", { amount: 0.3 }),
  count: (m) => prune.l1Unstructured(m, { name: "bias", amount: 2 }),
  scores: (m) =>
    prune.l1Unstructured(m, "weight", 0.5, {
      importanceScores: torch.arange(24).float().reshape(4, 6).sub(11.5),
    }),
  channels: (m) => prune.randomStructured(m, "weight", 0.34, 1),
  ln: (m) => prune.lnStructured(m, "weight", 0.25, 2, 0),
  largest: (m) => prune.lnStructured(m, "weight", { amount: 1, n: Infinity, dim: -1 }),
  mask: (m) => prune.customFromMask(m, "weight", torch.arange(24).reshape(4, 6).remainder(3)),
};

const linear = (): nn.Linear => new nn.Linear(2, 3);

onEachEngine(() => {
  test.each(Object.entries(METHODS))("%s, and again on what is left", (name, apply) => {
    const wanted = expected.methods[name]!;
    torch.manualSeed(3);
    const m = new nn.Linear(6, 4);
    const pruned = (): Tensor => (name === "count" ? m.bias! : m.weight);
    apply(m);
    expectState(m, wanted.once);
    const first = zeros(pruned());
    if (name !== "scores") apply(m);
    expect([first, zeros(pruned())]).toEqual(wanted.zeros);
    expectNear(numbers(torch.rand(2)), wanted.next);
  });

  test("methods of several kinds on one parameter", () => {
    const wanted = expected.methods["several"]!;
    torch.manualSeed(3);
    const m = new nn.Conv2d(2, 4, 3);
    prune.lnStructured(m, "weight", 0.5, "fro", 0);
    prune.randomUnstructured(m, "weight", 0.25);
    prune.l1Unstructured(m, "weight", 5);
    prune.lnStructured(m, "weight", 1, 1, 0);
    expectState(m, wanted.once);
    expect([zeros(m.weight)]).toEqual(wanted.zeros);
    expectNear(numbers(torch.rand(2)), wanted.next);
  });

  test("several parameters as one", () => {
    const wanted = expected.globally;
    torch.manualSeed(4);
    const [first, last] = [new nn.Linear(5, 6), new nn.Linear(6, 2)];
    const net = new nn.Sequential(first, new nn.ReLU(), last);
    prune.l1Unstructured(first, "weight", 4);
    const parameters = [
      [first, "weight"],
      [last, "weight"],
      [last, "bias"],
    ] as const;
    prune.globalUnstructured(parameters, { pruningMethod: prune.L1Unstructured, amount: 0.4 });
    expect([first.weight, last.weight, last.bias!].map(zeros)).toEqual(wanted.zeros);
    expect([prune.isPruned(net), prune.isPruned(new nn.ReLU())]).toEqual(wanted.pruned);
    expectState(net, wanted.state);
  });

  test("a pruned network trains as in PyTorch, further pruned on the way", () => {
    const wanted = expected.training;
    torch.manualSeed(5);
    const [first, last] = [new nn.Linear(4, 8), new nn.Linear(8, 1)];
    const net = new nn.Sequential(first, new nn.Tanh(), last);
    prune.l1Unstructured(first, "weight", 0.5);
    prune.randomStructured(last, "weight", 3, { dim: 1 });
    const optimizer = new optim.Adam(net.parameters(), { lr: 0.05 });
    const x = torch.randn(16, 4);
    const step = (): number => {
      const loss = F.mseLoss(net(x).squeeze(1), x.sum(1));
      optimizer.zeroGrad();
      loss.backward();
      optimizer.step();
      return loss.item();
    };
    const losses = Array.from({ length: 8 }, (_, i) => {
      const loss = step();
      if (i === 3) prune.l1Unstructured(first, "weight", 0.25);
      return loss;
    });
    expectNear(losses, wanted.losses);
    expectState(net, wanted.state[0]!);
    const twin = torch.noGrad(() => {
      net(x);
      return copy.deepcopy(net);
    });
    prune.remove(first, "weight");
    prune.remove(last, "weight");
    expectNear(numbers(net(x)), wanted.after);
    step();
    expectState(net, wanted.state[1]!);
    expectNear(numbers(twin(x)), wanted.twin);
    expect(zeros(twin[0].weight)).toEqual(wanted.zeros);
    expect([prune.isPruned(net), prune.isPruned(twin)]).toEqual(wanted.pruned);
    expectNear(numbers(net(x)), wanted.last);
    // The copy's pruning ends by itself.
    prune.remove(twin[0] as nn.Module, "weight");
    expectNear(numbers(twin(x)), wanted.twin);
  });

  abstract class Other extends prune.BasePruningMethod {
    override computeMask(_: Tensor, defaultMask: Tensor): Tensor {
      const mask = defaultMask.clone();
      mask.view(-1).indexPut_(["0::2"], 0);
      return mask;
    }
  }
  const own = [
    class extends Other {
      override pruningType = "unstructured" as const;
    },
    class extends Other {
      static PRUNING_TYPE = "unstructured";
    },
    class extends Other {
      PRUNING_TYPE = "unstructured";
    },
  ];

  test("a method of the user's own says its type", () => {
    const layer = linear();
    class Untold extends Other {}
    Untold.apply(layer, "bias");
    expect(() => Untold.apply(layer, "bias")).toThrow("Unrecognized PRUNING_TYPE undefined");
  });

  test.each(own)("a method of the user's own", (EveryOther) => {
    const layer = linear();
    expect(EveryOther.apply(layer, "bias")).toBeInstanceOf(EveryOther);
    expect(zeros(layer.bias!)).toEqual([1, 0, 1]);
    const both = EveryOther.apply(layer, "bias", { importanceScores: torch.ones(3) });
    expect(both).toBeInstanceOf(prune.PruningContainer);
    expect(zeros(layer.bias!)).toEqual([1, 1, 1]);
    expect([...(both as InstanceType<typeof prune.PruningContainer>)]).toHaveLength(2);
  });

  const scores = torch.ones(2);
  test.each(
    [
      () => prune.l1Unstructured(linear(), "weight", -1),
      () => prune.l1Unstructured(linear(), "weight", 1.5),
      () => prune.l1Unstructured(linear(), "weight", 7),
      () => prune.l1Unstructured(linear(), "weight", "1" as unknown as number),
      () => prune.lnStructured(linear(), "bias", 1, 2, 0),
      () => prune.randomStructured(linear(), "weight", 1, 2),
      () => prune.remove(linear(), "weight"),
      () => prune.l1Unstructured(linear(), "wait", 1),
      () => prune.customFromMask(linear(), "weight", torch.ones(2)),
      () => prune.l1Unstructured(linear(), "weight", 1, scores),
      () => new prune.L1Unstructured(1).prune(torch.ones(3), { importanceScores: scores }),
    ].map((attempt, i) => [expected.errors[i]!, attempt] as const),
  )("%s", (error, attempt) => {
    expect(attempt).toThrow(error);
  });
});
