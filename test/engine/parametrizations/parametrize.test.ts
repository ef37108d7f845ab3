// Parameters that other modules compute: PyTorch's text, names and numbers.
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { copy, nn, optim, torch, type Tensor } from "../../../extension/nn/index.ts";
import { onEachEngine } from "../../engines.ts";

const { parametrizations, parametrize } = nn.utils;

interface Recorded {
  text: string;
  losses: number[];
  keys: string[];
  weight: number[];
  removed: { keys: string[]; text: string; weight: number[] };
}

const recorded = JSON.parse(
  readFileSync(new URL("../../fixtures/parametrize/parametrize.json", import.meta.url), "utf8"),
) as Record<string, Recorded>;

class Symmetric extends nn.Module {
  forward(x: Tensor): Tensor {
    return x.triu().add(x.triu(1).transpose(-1, -2));
  }
  rightInverse(x: Tensor): Tensor {
    return x.triu();
  }
}

class Scaled extends nn.Module {
  forward(x: Tensor): Tensor {
    return x.mul(2);
  }
  rightInverse(x: Tensor): Tensor {
    return x.div(2);
  }
}

/** As in test/fixtures/parametrize/make.py. */
const CASES: Record<string, [(layer: nn.Linear) => nn.Linear, number, number]> = {
  "symmetric, scaled": [
    (layer) => {
      parametrize.registerParametrization(layer, "weight", new Symmetric());
      return parametrize.registerParametrization(layer, "weight", new Scaled());
    },
    3,
    3,
  ],
  weightNorm: [(layer) => parametrizations.weightNorm(layer), 3, 4],
  "weightNorm of all": [(layer) => parametrizations.weightNorm(layer, { dim: null }), 3, 4],
  spectralNorm: [(layer) => parametrizations.spectralNorm(layer), 3, 4],
  orthogonal: [(layer) => parametrizations.orthogonal(layer), 3, 3],
  "orthogonal, wide": [(layer) => parametrizations.orthogonal(layer), 4, 3],
  "orthogonal, high": [(layer) => parametrizations.orthogonal(layer), 3, 4],
  "orthogonal, cayley": [(layer) => parametrizations.orthogonal(layer, { orthogonalMap: "cayley" }), 3, 4],
  "orthogonal, householder": [(layer) => parametrizations.orthogonal(layer, "weight", "householder"), 3, 3],
};

const close = (got: readonly number[], expected: readonly number[]): void => {
  expect(got).toHaveLength(expected.length);
  got.forEach((x, i) => expect(x).toBeCloseTo(expected[i]!, 4));
};
const numbers = (x: Tensor): number[] => [...x.toTypedArray()];

onEachEngine(() => {
  it.each(Object.keys(recorded))("%s trains as in PyTorch, and is removed", (name) => {
    const expected = recorded[name]!;
    const [make, inputs, outputs] = CASES[name]!;
    torch.manualSeed(0);
    const model = make(new nn.Linear(inputs, outputs));
    expect(model.toString()).toBe(expected.text);
    const [x, y] = [torch.randn(5, inputs), torch.randn(5, outputs)];
    const optimizer = new optim.SGD(model.parameters(), { lr: 0.1 });
    const losses: Tensor[] = [];
    for (let i = 0; i < 6; i++) {
      const loss = model(x).sub(y).square().mean();
      optimizer.zeroGrad();
      loss.backward();
      optimizer.step();
      losses.push(loss);
    }
    close(
      losses.map((loss) => loss.item()),
      expected.losses,
    );
    expect([...model.stateDict().keys()]).toEqual(expected.keys);
    close(numbers(model.weight), expected.weight);
    expect(parametrize.isParametrized(model, "weight")).toBe(true);
    expect(parametrize.typeBeforeParametrizations(model)).not.toBe(model.constructor);
    const type = parametrize.typeBeforeParametrizations(model);
    parametrize.removeParametrizations(model, "weight");
    expect(model.constructor).toBe(type);
    expect(parametrize.typeBeforeParametrizations(model)).toBe(type);
    expect(parametrize.isParametrized(model)).toBe(false);
    expect([...model.stateDict().keys()].sort()).toEqual(expected.removed.keys.sort());
    expect(model.toString()).toBe(expected.removed.text);
    close(numbers(model.weight), expected.removed.weight);
  });

  it("assigns through the right inverse, and copies keep their own weights", () => {
    const layer = parametrize.registerParametrization(new nn.Linear(2, 2), "weight", new Scaled());
    const twin = copy.deepcopy(layer);
    layer.weight = torch.tensor([
      [1, 2.5],
      [3, 4],
    ]);
    expect(numbers(layer.weight)).toEqual([1, 2.5, 3, 4]);
    expect(numbers(layer.getParameter("parametrizations.weight.original"))).toEqual([0.5, 1.25, 1.5, 2]);
    expect(numbers(twin.weight)).not.toEqual(numbers(layer.weight));
  });

  it("refuses a parametrization that changes the shape", () => {
    class Cut extends nn.Module {
      forward(x: Tensor): Tensor {
        return x.narrow(0, 0, 1);
      }
    }
    expect(() => parametrize.registerParametrization(new nn.Linear(2, 2), "weight", new Cut())).toThrow(
      "Registering a parametrization may not change the shape of the tensor, unless `unsafe` flag is enabled.",
    );
  });
});

it("printing a layer computes no parametrization", () => {
  let calls = 0;
  class Counted extends nn.Module {
    forward(x: Tensor): Tensor {
      calls++;
      return x;
    }
  }
  for (const layer of [
    new nn.Linear(2, 3),
    new nn.Bilinear(2, 3, 4),
    new nn.Conv1d(2, 3, 1),
    new nn.Embedding(2, 3),
  ]) {
    parametrize.registerParametrization(layer, "weight", new Counted());
    calls = 0;
    String(layer);
    expect(calls).toBe(0);
  }
});

it("weights of recurrent layers are known by their names in state dicts", () => {
  const keys = (module: nn.Module): string[] =>
    [...module.stateDict().keys()].filter((key) => key.includes("hh"));
  const old = nn.utils.weightNorm(new nn.LSTM(2, 2), "weight_hh_l0");
  expect(keys(old)).toEqual(["bias_hh_l0", "weight_hh_l0_g", "weight_hh_l0_v"]);
  old(torch.ones(1, 1, 2));
  expect(keys(nn.utils.removeWeightNorm(old, "weight_hh_l0"))).toEqual(["bias_hh_l0", "weight_hh_l0"]);
  const layer = parametrizations.weightNorm(new nn.GRU(2, 2), "weight_hh_l0");
  expect(keys(layer)).toEqual([
    "bias_hh_l0",
    "parametrizations.weight_hh_l0.original0",
    "parametrizations.weight_hh_l0.original1",
  ]);
  layer(torch.ones(1, 1, 2));
  expect(parametrize.isParametrized(layer, "weight_hh_l0")).toBe(true);
  parametrize.removeParametrizations(layer, "weight_hh_l0");
  expect(keys(layer)).toEqual(["bias_hh_l0", "weight_hh_l0"]);
  const cell = new nn.GRUCell(2, 2);
  nn.utils.prune.l1Unstructured(cell, "weight_hh", { amount: 1 });
  expect(keys(cell)).toContain("weight_hh_mask");
});

it("an orthogonal parameter refuses another shape", () => {
  const layer = parametrizations.orthogonal(new nn.Linear(5, 3));
  expect(() => void (layer.weight = new nn.Parameter(torch.ones(2, 2)))).toThrow(
    "Expected a matrix or batch of matrices of shape torch.Size([3, 5]). Got a tensor of shape torch.Size([2, 2]).",
  );
  expect([...layer.weight.shape]).toEqual([3, 5]);
});
