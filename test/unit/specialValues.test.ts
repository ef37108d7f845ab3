// Values where series converge slowly or not at all.
import { expect, test } from "vitest";
import { torch } from "layerwise";
import { incompleteGamma } from "../../extension/tensor/ops/elementwise/specialValues.ts";
import { useEngine } from "../engines.ts";

useEngine("cpu");

// By quadrature with 40 digits.
test.each([
  [2e5, 2e5, 0.5002973540276185],
  [1e6, 1_001_000, 0.8413447863683403],
  [1e8, 99_990_000, 0.15865525352814383],
  [1e8, 99_900_000, 7.369931066896994e-24],
])("P(%d, %d) is exact in its tails", (a, x, expected) => {
  expect(incompleteGamma(a, x, false) / expected).toBeCloseTo(1, 9);
  expect(incompleteGamma(a, x, true) + incompleteGamma(a, x, false)).toBeCloseTo(1, 14);
});

test("the incomplete gamma functions of huge numbers take no longer than those of others", () => {
  for (const factor of [1 - 1e-7, 1, 1 + 1e-7]) {
    const upper = incompleteGamma(1e30, 1e30 * factor, true);
    expect(upper).toBeCloseTo(factor < 1 ? 1 : factor > 1 ? 0 : 0.5, 9);
  }
});

test("angles are drawn of any concentration: none where there is none, all alike where it is huge", () => {
  const draw = (concentration: number): number =>
    new torch.distributions.VonMises(0.5, torch.tensor(concentration), { validateArgs: false })
      .sample()
      .item();
  expect(draw(1e30)).toBeCloseTo(0.5, 6);
  expect(draw(1e-30)).toBeLessThanOrEqual(Math.PI);
  expect(draw(NaN)).toBeNaN();
  expect(draw(0)).toBeNaN();
});
