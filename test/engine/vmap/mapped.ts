// Shared functions of the tests of vmap.
import { expect } from "vitest";
import { torch, type Tensor } from "../../../extension/nn/index.ts";
import { scope } from "../../../extension/tensor/recording/scope.ts";

export const flat = (x: Tensor | readonly Tensor[]): number[] =>
  (Array.isArray(x) ? (x as readonly Tensor[]) : [x as Tensor]).flatMap((t) => [...t.toTypedArray()]);

export function expectEqual(found: Tensor, expected: Tensor): void {
  expect(found.shape).toEqual(expected.shape);
  const [a, b] = [flat(found), flat(expected)];
  a.forEach((x, i) =>
    expect(Math.abs(x - b[i]!), `${i}: ${x}, ${b[i]}`).toBeLessThan(2e-5 * Math.max(1, Math.abs(x))),
  );
}

/** The function called for each row of dimension 0 of all its arguments. */
export const looped =
  (f: (...args: Tensor[]) => Tensor) =>
  (...args: Tensor[]): Tensor =>
    torch.stack(Array.from({ length: args[0]!.size(0) }, (_, b) => f(...args.map((x) => x.select(0, b)))));

/** A result, and how many nodes it took to record. */
export function counted<T>(body: () => T): { result: T; nodes: number } {
  let nodes = 0;
  scope.onNode = () => void nodes++;
  try {
    return { result: body(), nodes };
  } finally {
    scope.onNode = undefined;
  }
}

export const energy = (x: Tensor): Tensor => x.sin().mul(x).sum().add(x.pow(3).prod());
