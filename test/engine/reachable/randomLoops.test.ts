// Loops of random statements: what they compute doesn't depend on when they read.
import { array, assert, boolean, integer, nat, property, record, type Arbitrary } from "fast-check";
import { expect, it } from "vitest";
import { nn, torch, type Tensor } from "../../../extension/nn/index.ts";
import { useEngine } from "../../engines.ts";

interface State {
  readonly v: Tensor[];
  readonly matrix: Tensor;
  readonly kept: Tensor[];
  readonly layer: nn.Linear;
}

/** Two of the vectors, a row of the matrix, and the iteration. */
type Statement = (s: State, a: number, b: number, row: number, i: number) => void;

const STATEMENTS: readonly Statement[] = [
  ({ v }, a, b) => (v[a] = v[b]!.mul(0.5).add(v[a]!.mul(0.4))),
  ({ v }, a) => v[a]!.mul_(0.9),
  ({ v }, a, b) => v[a]!.add_(v[b]!.tanh().mul(0.1)),
  ({ v, matrix }, a, _, row) => matrix.index(row).copy_(v[a]!.sin()),
  ({ v, matrix }, a, _, row) => (v[a] = v[a]!.add(matrix.index(row).mul(0.1)).tanh()),
  ({ v, layer }, a, b) => (v[a] = torch.noGrad(() => layer.forward(v[b]!)).tanh()),
  ({ v }, a, b) => (v[a] = v[b]!.add(torch.randn(5).mul(0.01))),
  ({ v }, a, b, _, i) => (v[a] = v[b]!.mul(1 - 1 / (i + 2)).add(torch.full([5], i / 1000))),
  ({ v, kept }, a, _, row, i) => i % 4 === row && kept.push(v[a]!),
  ({ matrix }, _, __, row) => matrix.index(`${row}:`).mul_(0.8).add_(0.05),
  ({ v }, a, b) => (v[a] = v[b]!),
  ({ v }, a, b) => (v[a] = torch.where(v[b]!.gt(0), v[b]!, v[a]!.mul(0.3))),
  ({ v }, a, b) => (v[a] = torch.cat([v[b]!.narrow(0, 0, 2), v[a]!.narrow(0, 2, 3)]).sigmoid()),
  ({ v, matrix }, a, _, __, i) => matrix.indexPut_([i % 4], v[a]!.mul(0.5)),
  ({ v }, a, b) => (v[a] = v[a]!.mul(0.5).add(v[b]!.topk(3).values.mean().mul(0.1))),
];

const statement = record({
  kind: nat(STATEMENTS.length - 1),
  a: nat(2),
  b: nat(2),
  row: nat(3),
});
const body = array(statement, { minLength: 2, maxLength: 9 });

const program = record({ first: body, later: body, change: nat(600), grad: boolean() });

const ITERATIONS = 500;

function resultOf(
  { first, later, change, grad }: typeof program extends Arbitrary<infer P> ? P : never,
  read: (s: State, i: number) => void,
): number[] {
  torch.manualSeed(0);
  const s: State = {
    v: [torch.randn(5), torch.randn(5), torch.randn(5)],
    matrix: torch.randn(4, 5),
    kept: [],
    layer: new nn.Linear(5, 5),
  };
  torch.setGradEnabled(grad);
  try {
    for (let i = 0; i < ITERATIONS; i++) {
      for (const { kind, a, b, row } of i < change ? first : later) STATEMENTS[kind]!(s, a, b, row, i);
      read(s, i);
    }
  } finally {
    torch.setGradEnabled(true);
  }
  return [...s.v, s.matrix, ...s.kept].flatMap((x) => [...x.toTypedArray()]);
}

useEngine("native");

it("gives the same numbers whether it reads or not", () => {
  assert(
    property(program, integer({ min: 40, max: 200 }), (one, often) => {
      const expected = resultOf(one, ({ v }) => v[0]!.sum().item());
      const seldom = resultOf(one, ({ matrix }, i) => i % often === 0 && matrix.sum().item());
      for (const found of [resultOf(one, () => {}), seldom]) {
        expect(found.length).toBe(expected.length);
        for (const [i, x] of found.entries()) expect(x).toBeCloseTo(expected[i]!, 4);
      }
    }),
    { numRuns: 25 },
  );
});
