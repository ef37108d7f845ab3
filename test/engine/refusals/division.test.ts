// Whole numbers divided by 0: refused on both engines, also where the divisor is known only when it is computed.
import { expect, it } from "vitest";
import { torch, type Tensor } from "../../../extension/nn/index.ts";
import { onEachEngine } from "../../engines.ts";

const DIVISIONS: Record<string, (x: Tensor, y: Tensor | number) => Tensor> = {
  fmod: (x, y) => torch.fmod(x, y),
  remainder: (x, y) => torch.remainder(x, y),
  floorDivide: (x, y) => torch.floorDivide(x, y),
  floorDivide_: (x, y) => x.floorDivide_(y),
  "div, rounded down": (x, y) => torch.div(x, y, { roundingMode: "floor" }),
  "div, rounded to 0": (x, y) => torch.div(x, y, { roundingMode: "trunc" }),
};

onEachEngine(() => {
  it.each(Object.keys(DIVISIONS))("%s", (name) => {
    const divided = DIVISIONS[name]!;
    for (const divisor of [0, torch.tensor(0), torch.tensor([2, 0]), torch.tensor([2, 0]).mul(3)])
      expect(() => divided(torch.tensor([4, -3]), divisor).tolist()).toThrow("ZeroDivisionError");
    const none = torch.zeros(0, { dtype: torch.int64 });
    for (const divisor of [0, torch.tensor([0])]) expect(divided(none.clone(), divisor).tolist()).toEqual([]);
    expect(divided(torch.tensor([4, 6]), torch.tensor([2, 3])).tolist()).toEqual(
      name === "fmod" || name === "remainder" ? [0, 0] : [2, 2],
    );
  });
});
