// Sources of a loader other than data sets. Expected batches are PyTorch 2.15's default_collate.
import { describe, expect, expectTypeOf, test } from "vitest";
import { data, torch, type Tensor } from "../../../../extension/nn/index.ts";
import { useEngine } from "../../../engines.ts";

useEngine("cpu");

/** Batches with tensors as lists. */
function plain(value: unknown): unknown {
  if (torch.isTensor(value)) return value.tolist();
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof Map) return new Map([...value].map(([key, one]) => [key, plain(one)]));
  if (typeof value === "object" && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, plain(one)]));
  return value;
}

const two = { batchSize: 2 };
const [a, b, c] = [torch.ones(2), torch.zeros(2), torch.full([2], 2)];

describe("a loader over", () => {
  test("an array of pairs", () => {
    const loader = new data.DataLoader(
      [
        [a, 0],
        [b, 1],
        [c, 2],
      ],
      two,
    );
    for (const [x, y] of loader) {
      expectTypeOf(x).toEqualTypeOf<Tensor>();
      expectTypeOf(y).toEqualTypeOf<Tensor>();
    }
    expect([...loader].map(plain)).toEqual([
      [
        [
          [1, 1],
          [0, 0],
        ],
        [0, 1],
      ],
      [[[2, 2]], [2]],
    ]);
    expect([loader.length, loader.dataset.length]).toEqual([2, 3]);
  });

  test("numbers, booleans, texts, tensors, typed arrays", () => {
    const batches = (samples: readonly unknown[]) => [...new data.DataLoader(samples, two)].map(plain);
    expect(batches([1, 2, 3])).toEqual([[1, 2], [3]]);
    expect(batches([1.5, 2, 3])).toEqual([[1.5, 2], [3]]);
    expect(batches([true, false])).toEqual([[true, false]]);
    expect(batches(["a", "b"])).toEqual([["a", "b"]]);
    expect(batches([a, b])).toEqual([
      [
        [1, 1],
        [0, 0],
      ],
    ]);
    expect(batches([new Float32Array([1, 2]), new Float32Array([3, 4])])).toEqual([
      [
        [1, 2],
        [3, 4],
      ],
    ]);
    for (const x of new data.DataLoader([1, 2, 3])) expectTypeOf(x).toEqualTypeOf<Tensor>();
    for (const x of new data.DataLoader(["a", "b"])) expectTypeOf(x).toEqualTypeOf<string[]>();
    expect([...new data.DataLoader([], two)]).toEqual([]);
  });

  test("objects and maps", () => {
    const loader = new data.DataLoader(
      [
        { image: a, label: 1, name: "one" },
        { image: b, label: 2, name: "two" },
      ],
      two,
    );
    for (const batch of loader) {
      expectTypeOf(batch.image).toEqualTypeOf<Tensor>();
      expectTypeOf(batch.name).toEqualTypeOf<string[]>();
      expect(plain(batch)).toEqual({
        image: [
          [1, 1],
          [0, 0],
        ],
        label: [1, 2],
        name: ["one", "two"],
      });
    }
    const [batch] = new data.DataLoader([new Map([["x", 1]]), new Map([["x", 2]])], two);
    expect(plain(batch)).toEqual(new Map([["x", [1, 2]]]));
  });

  test("an object of one's own with length and get", () => {
    class Squares {
      readonly length = 3;
      get(i: number): [Tensor, number] {
        return [torch.tensor([i, i * i]), i];
      }
    }
    const set = new Squares();
    const loader = new data.DataLoader(set, { batchSize: 3 });
    for (const [x, y] of loader) {
      expectTypeOf(x).toEqualTypeOf<Tensor>();
      expect([x.tolist(), y.tolist()]).toEqual([
        [
          [0, 0],
          [1, 1],
          [2, 4],
        ],
        [0, 1, 2],
      ]);
    }
    expect(loader.dataset).toBe(set);
    expect([...new data.Subset(set, [2, 0])].map(([, y]) => y)).toEqual([2, 0]);
  });

  test("the rows of a tensor", () => {
    const rows = torch.arange(6).reshape(3, 2);
    expect([...new data.DataLoader(rows as never, two)].map(plain)).toEqual([
      [
        [0, 1],
        [2, 3],
      ],
      [[4, 5]],
    ]);
  });

  test("samples with a collateFn, shuffled, in the order of PyTorch's seed", () => {
    const loader = new data.DataLoader([1, 2, 3, 4], {
      batchSize: 2,
      collateFn: (samples) => samples.reduce<number>((sum, x) => sum + x, 0),
    });
    for (const sum of loader) expectTypeOf(sum).toEqualTypeOf<number>();
    expect([...loader]).toEqual([3, 7]);
    torch.manualSeed(0);
    const list = [...new data.DataLoader([10, 11, 12, 13, 14], { batchSize: 5, shuffle: true })];
    torch.manualSeed(0);
    const set = new data.TensorDataset(torch.arange(10, 15));
    const same = [...new data.DataLoader(set, { batchSize: 5, shuffle: true })].map(([x]) => x);
    expect(list.map(plain)).toEqual(same.map(plain));
    const parts = data.randomSplit(["a", "b", "c"], [2, 1]);
    expect(parts.flatMap((part) => [...part]).sort()).toEqual(["a", "b", "c"]);
    expect([...new data.ConcatDataset([[1], [2, 3]])]).toEqual([1, 2, 3]);
  });

  test("what can't be one batch is refused", () => {
    const read = (samples: unknown) => [...new data.DataLoader(samples as unknown[], two)];
    expect(() => read([null, null])).toThrow("default_collate: batch must contain");
    expect(() => read([[1], [1, 2]])).toThrow("each element in list of batch should be of equal size");
    expect(() => read([torch.ones(1), torch.ones(2)])).toThrow("stack expects each tensor to be equal size");
    expect(() => read([{ x: 1 }, { y: 1 }])).toThrow("default_collate: sample 1 of the batch has no 'x'");
    expect(() => read([torch.ones(1), 2])).toThrow("expected Tensor as element 1 in argument 0, but got int");
    expect(() => read([{ x: torch.ones(1) }, { x: "a" }])).toThrow("element 1 in argument 0, but got str");
    expect(() => read([[1, 2], 3])).toThrow(
      "default_collate: sample 1 of the batch is of another type than sample 0: int, not a list",
    );
    expect(() => read([{ x: 1 }, null])).toThrow("NoneType, not an object");
    expect(() => read(3)).toThrow("object of type 'number' has no samples by number");
    expect(() => read({ x: 1 })).toThrow("object of type 'Object' has no samples by number");
    expect(() => new data.DataLoader([1], { prefetchFactor: 2 })).toThrow(
      "prefetch_factor option could only be",
    );
    expect(() => new data.DataLoader([1], { persistentWorkers: true })).toThrow(
      "persistent_workers option needs num_workers > 0",
    );
  });
});
