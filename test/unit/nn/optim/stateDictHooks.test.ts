// Hooks around the saving and loading of an optimizer's state.
import { expect, test } from "vitest";
import { nn, optim, torch } from "../../../../extension/nn/index.ts";
import { useEngine } from "../../../engines.ts";

useEngine("cpu");

const trained = (lr: number): optim.SGD => {
  const w = new nn.Parameter(torch.ones(1));
  const optimizer = new optim.SGD([w], { lr, momentum: 0.5 });
  w.sum().backward();
  optimizer.step();
  return optimizer;
};

test("hooks run before and after saving in their order, and may replace the state", () => {
  const optimizer = trained(0.5);
  const seen: string[] = [];
  optimizer.registerStateDictPreHook((self) => void seen.push(`before ${self === optimizer}`));
  const after = optimizer.registerStateDictPostHook((_, dict) => {
    seen.push("after");
    return { ...dict, param_groups: [{ ...dict.param_groups[0], lr: 3 }] };
  });
  optimizer.registerStateDictPostHook(
    (_, dict) => void seen.push(`first ${String(dict.param_groups[0]!["lr"])}`),
    {
      prepend: true,
    },
  );
  expect(optimizer.stateDict().param_groups[0]!["lr"]).toBe(3);
  expect(seen).toEqual(["before true", "first 0.5", "after"]);
  after.remove();
  expect(optimizer.stateDict().param_groups[0]!["lr"]).toBe(0.5);
});

test("hooks run before and after loading, and leave the caller's state alone", () => {
  const [from, to] = [trained(0.5), trained(0.25)];
  const saved = from.stateDict();
  const rates: unknown[] = [];
  to.registerLoadStateDictPreHook((self, dict) => {
    rates.push(self.paramGroups[0].lr);
    dict.param_groups = [{ ...dict.param_groups[0], lr: 2 }];
  });
  to.registerLoadStateDictPostHook((self) => void rates.push(self.paramGroups[0].lr));
  to.loadStateDict(saved);
  expect(rates).toEqual([0.25, 2]);
  expect(saved.param_groups[0]!["lr"]).toBe(0.5);
});
