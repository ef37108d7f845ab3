// Finding the call of a refused op runs a step again: model, optimizer and generator are as before.
import { expect, test } from "vitest";
import { findCall } from "../../../extension/engine/training/userCall.ts";
import { F, nn, optim, torch } from "../../../extension/nn/index.ts";
import { TensorError } from "../../../extension/tensor/core/errors.ts";
import { onEachEngine } from "../../engines.ts";

onEachEngine(() => {
  test("finding a call writes nothing", async () => {
    torch.manualSeed(1);
    const model = new nn.Sequential(new nn.Linear(4, 3), new nn.BatchNorm1d(3));
    const optimizer = new optim.Adam(model.parameters(), { lr: 0.1 });
    const x = torch.randn(6, 4);
    const step = (label: number): void => {
      optimizer.zeroGrad();
      F.crossEntropy(model(x), torch.full([6], label).add(0)).backward();
      optimizer.step();
    };
    for (let i = 0; i < 4; i++) step(i % 3);
    const state = (): unknown => [
      optimizer.stepped,
      ...[...model.stateDict().values()].map((tensor) => [...tensor.toTypedArray()]),
    ];
    const before = state();
    const error = (() => {
      try {
        step(7);
      } catch (thrown) {
        return thrown as TensorError;
      }
      throw new Error("not refused");
    })();
    expect(error).toMatchObject({ message: "Target 7 is out of bounds.", late: true, sites: [] });
    expect(await findCall(error, () => step(2))).toBe(false);
    expect(state()).toEqual(before);
    expect(await findCall(error, () => step(7))).toBe(true);
    expect(error.sites).toHaveLength(1);
    expect(state()).toEqual(before);
    step(1);
    expect(state()).not.toEqual(before);
  });
});
