import { describe, expect, test } from "vitest";
import { torch } from "../../../extension/nn/index.ts";
import { compare, Unsupported } from "../../parity/format.ts";
import { runGradItem } from "../../parity/kinds/grad.ts";
import { runInitItem } from "../../parity/kinds/init.ts";
import { runOptimItem } from "../../parity/kinds/optim.ts";
import { runReprItem } from "../../parity/kinds/repr.ts";
import { runTrajectoryItem, type TrajectorySpec } from "../../parity/kinds/trajectory.ts";
import { camelCase } from "../../parity/names.ts";
import { useEngine } from "../../engines.ts";

// A runner that lets everything pass is worse than none: each kind must see a wrong number.
const tolerance = { abs: 1e-5, rel: 1e-5 };
const float = (
  data: number[],
  shape = [data.length],
): { dtype: string; shape: number[]; data: number[] } => ({
  dtype: "float32",
  shape,
  data,
});

useEngine("cpu");

test.each([
  ["kernel_size", "kernelSize"],
  ["kaiming_uniform_", "kaimingUniform_"],
  ["T_max", "tMax"],
  ["max_pool2d", "maxPool2d"],
  ["lr", "lr"],
])("%s is %s", (python, own) => {
  expect(camelCase(python)).toBe(own);
});

describe("comparisons", () => {
  test("values, shapes and types", () => {
    expect(compare(torch.tensor([1.5]), float([1.5]), tolerance)).toBeNull();
    expect(compare(torch.tensor([1.5]), float([1.6]), tolerance)).toMatch(/value 0 is 1.5 instead of 1.6/);
    expect(compare(torch.tensor([1.5]), float([1.5], [1, 1]), tolerance)).toBe("shape [1] instead of [1, 1]");
    expect(compare(torch.tensor([1]), float([1]), tolerance)).toBe("dtype int64 instead of float32");
  });

  test("not-a-number is equal to itself alone, infinities to those of their sign", () => {
    const b64f32 = Buffer.from(Float32Array.of(NaN, Infinity).buffer).toString("base64");
    const expected = { dtype: "float32", shape: [2], b64f32 };
    expect(compare(torch.tensor([NaN, Infinity]), expected, tolerance)).toBeNull();
    expect(compare(torch.tensor([0.5, Infinity]), expected, tolerance)).toMatch(/^value 0 is 0.5/);
    expect(compare(torch.tensor([NaN, -Infinity]), expected, tolerance)).toMatch(/^value 1 is -Infinity/);
  });
});

test("repr: text, counts, state dict and rows", () => {
  const spec = {
    id: "x",
    model: { type: "Linear", args: [2, 1] },
    input: { dtype: "float32", shape: [3, 2] },
  };
  const right = {
    id: "x",
    text: "Linear(in_features=2, out_features=1, bias=True)",
    params: 3,
    trainable: 3,
    state_dict: [
      ["weight", [1, 2], "float32"],
      ["bias", [1], "float32"],
    ] as [string, number[], string][],
    layers: [["", "Linear", [3, 1]]] as [string, string, number[]][],
    output: [3, 1],
  };
  expect(runReprItem(spec, right)).toBeNull();
  expect(runReprItem(spec, { ...right, text: "Linear()" })).toMatch(/^text, line 1/);
  expect(runReprItem(spec, { ...right, params: 4 })).toBe("params: 3 instead of 4");
  expect(runReprItem(spec, { ...right, state_dict: [] })).toMatch(/^state_dict/);
  expect(runReprItem(spec, { ...right, layers: [] })).toMatch(/^layers/);
});

test("init: values and the amount of random numbers", () => {
  const spec = { id: "x", seed: 0, init_fn: "constant_", shape: [2], kwargs: { val: 0.25 } };
  torch.manualSeed(0);
  const next_rand = [...torch.rand(4).toTypedArray()];
  const right = { id: "x", exact: true, state: { tensor: float([0.25, 0.25]) }, next_rand };
  expect(runInitItem(spec, right, tolerance)).toBeNull();
  expect(runInitItem(spec, { ...right, next_rand: next_rand.toReversed() }, tolerance)).toMatch(/^next_rand/);
  expect(runInitItem(spec, { ...right, state: { tensor: float([0.25, 0.26]) } }, tolerance)).toMatch(
    /^tensor/,
  );
});

test("grad: outputs, gradients and which there are", () => {
  const spec = {
    id: "x",
    fn: "F.relu",
    args: [{ ...float([-1.5, 2.5]), grad: true }],
    grad_outputs: [float([1.5, 0.5])],
  };
  const right = { id: "x", outputs: [float([0, 2.5])], grads: { "args.0": float([0, 0.5]) } };
  expect(runGradItem(spec, right, tolerance)).toBeNull();
  expect(runGradItem(spec, { ...right, outputs: [float([0, 2.4])] }, tolerance)).toMatch(/^output 0/);
  expect(runGradItem(spec, { ...right, grads: { "args.0": float([0, 0.4]) } }, tolerance)).toMatch(
    /^gradient of args.0/,
  );
  expect(runGradItem(spec, { ...right, grads: {} }, tolerance)).toBe("gradients only on one side: args.0");
});

test("optim: parameters, state and groups", () => {
  const spec = {
    id: "x",
    optimizer: { type: "SGD", kwargs: { lr: 0.5, momentum: 0.5 } },
    params: [float([1])],
    grads: [[float([1])]],
  };
  const group = {
    lr: 0.5,
    momentum: 0.5,
    dampening: 0,
    weight_decay: 0,
    nesterov: false,
    maximize: false,
    foreach: null,
    differentiable: false,
    fused: null,
    params: [0],
  };
  const lines = Object.entries(group)
    .filter(([name]) => name !== "params")
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, v]) => `    ${name}: ${v === null ? "None" : v === false ? "False" : String(v)}\n`);
  const right = {
    id: "x",
    repr: `SGD (\nParameter Group 0\n${lines.join("")})`,
    params: [[float([0.5])]],
    state: { "0": { momentum_buffer: float([1]) } },
    param_groups: [group],
  };
  expect(runOptimItem(spec, right, tolerance)).toBeNull();
  expect(runOptimItem(spec, { ...right, repr: "SGD ()" }, tolerance)).toMatch(/^repr/);
  expect(runOptimItem(spec, { ...right, params: [[float([0.6])]] }, tolerance)).toMatch(
    /^step 1, parameter 0/,
  );
  expect(runOptimItem(spec, { ...right, state: {} }, tolerance)).toMatch(/^state/);
  expect(runOptimItem(spec, { ...right, param_groups: [{ ...group, lr: 0.4 }] }, tolerance)).toMatch(
    /^param_groups.0.lr/,
  );
});

test("trajectory: printed lines, losses and weights", () => {
  const spec: TrajectorySpec = {
    id: "x",
    task: "supervised",
    seed: 0,
    models: [["model", { type: "Linear", args: [1, 1], kwargs: { bias: false } }]],
    data: {
      seed: 0,
      ops: [
        { name: "X", op: "expr", python: "…" },
        { name: "y", op: "expr", python: "X" },
      ],
      tensors: { X: float([1], [1, 1]) },
    },
    initial_state: { weight: float([0], [1, 1]) },
    loss: { type: "MSELoss" },
    optimizers: [["model", { type: "SGD", kwargs: { lr: 0.25 } }]],
    epochs: 1,
    log_every: 1,
  };
  const right = {
    id: "x",
    log: ["Epoch [1/1], Loss: 1.0000"],
    losses: [1],
    initial: { weight: float([0], [1, 1]) },
    final: { weight: float([0.5], [1, 1]) },
  };
  const bounds = { loss_abs: 1e-5, weights_abs: 1e-5, eval_abs: 5e-5 };
  expect(runTrajectoryItem(spec, right, bounds)).toBeNull();
  expect(runTrajectoryItem(spec, { ...right, log: [] }, bounds)).toMatch(/^log/);
  expect(runTrajectoryItem(spec, { ...right, losses: [1.1] }, bounds)).toMatch(/^losses/);
  expect(runTrajectoryItem(spec, { ...right, initial: { weight: float([0.1], [1, 1]) } }, bounds)).toMatch(
    /^initial/,
  );
  expect(runTrajectoryItem(spec, { ...right, final: { weight: float([0.4], [1, 1]) } }, bounds)).toMatch(
    /^final/,
  );
});

test("what is not exported is unsupported by its name", () => {
  const model = { type: "Linear3000", args: [] };
  const expected = { id: "x", text: "", params: 0, trainable: 0, state_dict: [] };
  expect(() => runReprItem({ id: "x", model }, expected)).toThrow(new Unsupported("nn.Linear3000"));
  expect(() =>
    runGradItem(
      { id: "x", fn: "torch.no_such_function", args: [] },
      { id: "x", outputs: [], grads: {} },
      tolerance,
    ),
  ).toThrow(new Unsupported("torch.no_such_function"));
});
