import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { type RngExpectation, runRngItem, type RngSpec } from "../../parity/kinds/rng.ts";

const folder = new URL("../../fixtures/golden/rng/", import.meta.url);

interface GoldenCase {
  spec: { items: RngSpec[] };
  expect: { items: RngExpectation[] };
}

describe.each(readdirSync(folder))("golden rng/%s", (file) => {
  const { spec, expect: expected } = JSON.parse(readFileSync(new URL(file, folder), "utf8")) as GoldenCase;
  test.each(spec.items.map((item, i) => [item.id, item, expected.items[i]!] as const))(
    "%s",
    (_, item, results) => {
      expect(results.id).toBe(item.id);
      expect(runRngItem(item, results)).toBeNull();
    },
  );
});

test("a wrong value, a wrong order and a missing result are reported", () => {
  const seed = { op: "manual_seed", seed: 0 } as const;
  const rand = { op: "rand", size: [1] } as const;
  const off = { dtype: "float32", shape: [1], data: [0.4962567] };
  const spec = (...ops: RngSpec["ops"]): RngSpec => ({ id: "x", ops });
  expect(runRngItem(spec(seed, { ...rand, size: [1] }), { id: "x", results: [null, off] })).toMatch(
    /^op 1 \(rand\): value 0: expected 0.4962567/,
  );
  expect(runRngItem(spec(seed, { op: "randperm", n: 2 }), { id: "x", results: [null] })).toMatch(
    /^op 1 \(randperm\)/,
  );
  expect(
    runRngItem(spec(seed, { op: "loader", n: 2, batch_size: 2, epochs: 1 }), {
      id: "x",
      results: [null, [[[5, 6]]]],
    }),
  ).toMatch(/expected \[\[\[5,6\]\]\]/);
});
