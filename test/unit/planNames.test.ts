// Graphs that differ have different names, equal graphs the same.
import { expect, it } from "vitest";
import { torch, type Tensor } from "../../extension/nn/index.ts";
import { buildPlan } from "../../extension/tensor/planning/plan.ts";
import type { Plan } from "../../extension/tensor/planning/barrier.ts";
import { apply } from "../../extension/tensor/recording/apply.ts";
import { defineOp } from "../../extension/tensor/recording/op.ts";
import { hidden } from "../../extension/tensor/recording/scope.ts";

const named = defineOp<{ a?: unknown; b?: unknown }>({
  name: "named",
  infer: ([x]) => x!,
  batch: { none: "no test maps it" },
  gradient: { none: "it is never differentiated" },
  onnx: { none: "it is never exported" },
  tensorflow: (_, [x]) => x!,
  tfjs: (_, [x]) => x!,
});

const planOf = (...requested: Tensor[]): Plan =>
  buildPlan({ requested: requested.map(({ value }) => value), assigns: [], lazy: [], held: [] });

const x = torch.ones(2, 3);
const y = torch.tensor([[1, 2, 3]]);

it("differs for attributes that print alike", () => {
  const attributes = [
    {},
    { a: 0 },
    { a: -0 },
    { a: 0.5 },
    { a: NaN },
    { a: Infinity },
    { a: null },
    { a: "0" },
    { a: [0] },
    { a: [[0]] },
    { a: [] },
    { a: [0, 0] },
    { a: true },
    { a: 1 },
    { b: 1 },
    { a: 2 ** 31 },
    { a: -(2 ** 31) },
    { a: "ab" },
    { a: "ab\0" },
    { a: "a", b: "b" },
  ];
  const keys = attributes.map((one) => planOf(apply(named, [x], one)).key);
  expect(new Set(keys).size).toBe(attributes.length);
  expect(keys).toEqual(attributes.map((one) => planOf(apply(named, [x], { ...one })).key));
  expect(planOf(apply(named, [x], { a: undefined })).key).toBe(keys[0]);
});

it("differs for leaves, shapes, order and what is read", () => {
  const graphs: Tensor[][] = [
    [x.add(y)],
    [y.add(x)],
    [x.add(x)],
    [x.sub(y)],
    [x.add(torch.ones(2, 3))],
    [torch.ones(2, 4).add(torch.ones(2, 4))],
    [torch.zeros(2, 3).add(torch.zeros(2, 3))],
    [torch.tensor([[1, 2, 3]]).add(torch.tensor([[1, 2, 3]]))],
    [x.add(2)],
    [x.add(y).neg()],
    // Intermediate values of a module's forward aren't brought to the host.
    [hidden(() => x.add(y)).neg()],
  ];
  const keys = graphs.map((outputs) => planOf(...outputs).key);
  expect(new Set(keys).size).toBe(graphs.length);
  expect(planOf(x.add(y)).key).toBe(keys[0]);
  // The value of an input may change.
  expect(planOf(torch.ones(2, 3).add(torch.tensor([[4, 5, 6]]))).key).toBe(keys[0]);
});

it("is a hash of the whole graph, whatever its length", () => {
  const names = new Set<string>();
  let value = x;
  for (let i = 0; i < 3000; i++) {
    value = value.add(y);
    names.add(planOf(value).key);
  }
  expect(names.size).toBe(3000);
  expect(Math.max(...[...names].map(({ length }) => length))).toBe(40);
});
