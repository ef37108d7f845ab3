import { expect } from "vitest";
import type { nn } from "../../extension/nn/index.ts";

/** Of a state dict as PyTorch has it: shape, sum and sum of absolute values of each entry. */
export type State = Record<string, [shape: number[], sum: number, size: number]>;

export function expectNear(actual: readonly number[], wanted: readonly number[]): void {
  expect(actual.length).toBe(wanted.length);
  actual.forEach((x, i) => expect(x, `place ${i}`).toBeCloseTo(wanted[i]!, 4));
}

export function expectState(module: nn.Module, wanted: State): void {
  const state = module.stateDict();
  expect([...state.keys()]).toEqual(Object.keys(wanted));
  for (const [name, x] of state) {
    const [shape, sum, size] = wanted[name]!;
    expect(x.shape).toEqual(shape);
    expectNear([x.sum().item(), x.abs().sum().item()], [sum, size]);
  }
}
