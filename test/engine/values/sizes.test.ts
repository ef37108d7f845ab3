// Sizes and integers that are read from data, and are larger than anything can hold: refused before they are made.
import { expect, test } from "vitest";
import { nn, torch, type Tensor } from "../../../extension/nn/index.ts";
import { onEachEngine } from "../../engines.ts";

const { functional: F } = nn;
const MOST = 2 ** 31 - 1;
const BEYOND = "integers beyond ±2³¹ can be read but not computed with";
const INT = { dtype: torch.int64 } as const;
const noMemory = (size: string): string => `not enough memory for a tensor of size ${size}`;

onEachEngine(() => {
  const numbers = (): Tensor => torch.tensor([1, 2, 3]);

  test("refuses results that memory can't hold before it makes them", { timeout: 5000 }, () => {
    const repeats = torch.tensor([MOST, 1, 0]);
    expect(() => torch.repeatInterleave(numbers(), repeats)).toThrow(noMemory(`[${MOST + 1}]`));
    expect(() => F.oneHot(torch.tensor([MOST]))).toThrow(noMemory(`[1, ${MOST + 1}]`));
    expect(() => torch.bincount(torch.tensor([MOST]))).toThrow(noMemory(`[${MOST + 1}]`));
    expect(() => torch.arange(MOST + 1)).toThrow(noMemory(`[${MOST + 1}]`));
    expect(() => torch.eye(MOST)).toThrow(noMemory(`[${MOST}, ${MOST}]`));
    expect(() => torch.linspace(0, 1, MOST + 1)).toThrow(noMemory(`[${MOST + 1}]`));
    const large = 2 ** 20;
    const column = torch
      .tensor([1, 2])
      .expand(large, 2)
      .reshape(1, 2 * large);
    expect(() =>
      column
        .expand(large, 2 * large)
        .add(1)
        .toTypedArray(),
    ).toThrow(noMemory(`[${large}, ${2 * large}]`));
  });

  test("refuses lengths that are longer than the padded sequences", { timeout: 5000 }, () => {
    const padded = torch.zeros([3, 3, 1]);
    expect(() => nn.utils.rnn.packPaddedSequence(padded, [MOST, 3, 2])).toThrow(
      `Expected lengths of at most 3 steps, but got ${MOST}`,
    );
    const packed = nn.utils.rnn.packPaddedSequence(padded, [3, 3, 2]);
    expect(() => nn.utils.rnn.padPackedSequence(packed, { totalLength: MOST })).toThrow(
      noMemory(`[3, ${MOST}, 1]`),
    );
  });

  test("repeats each element as often as a tensor says", () => {
    const found = torch.repeatInterleave(numbers(), torch.tensor([2, 0, 3]));
    expect(found.tolist()).toEqual([1, 1, 3, 3, 3]);
    expect(torch.repeatInterleave(numbers(), torch.tensor([2])).tolist()).toEqual([1, 1, 2, 2, 3, 3]);
  });

  test.each(["sum", "mean", "max"] as const)(
    "refuses offsets of bags that fall or lie outside: %s",
    (mode) => {
      const bags = (offsets: number[]): Tensor =>
        F.embeddingBag(numbers(), torch.ones([5, 2]), { offsets: torch.tensor(offsets), mode });
      expect(() => bags([0, 3, 2])).toThrow(
        "offsets have to be in ascending order, but offsets[1] is 3 and offsets[2] is 2",
      );
      expect(() => bags([0, 7, 2])).toThrow("offsets have to be in ascending order");
      expect(() => bags([0, 4])).toThrow("offsets[-1] can not be greater than input's length 3");
      expect(bags([0, 0, 3]).shape).toEqual([3, 2]);
    },
  );

  test("refuses numbers beyond 32 bits where integers are computed with", () => {
    for (const x of [2 ** 32, 2 ** 32 + 1, -(2 ** 31) - 1, 2 ** 53 - 1]) {
      expect(() => numbers().add(x)).toThrow(BEYOND);
      expect(() => numbers().mul(x)).toThrow(BEYOND);
      expect(() => numbers().lt(x)).toThrow(BEYOND);
      expect(() => torch.full([2], x)).toThrow(BEYOND);
      expect(() => torch.full([2], x, INT)).toThrow(BEYOND);
      expect(() => numbers().fill_(x)).toThrow(BEYOND);
      expect(() => torch.fullLike(numbers(), x)).toThrow(BEYOND);
      // Floats take any number.
      expect(torch.full([1], x, { dtype: torch.float32 }).tolist()).toEqual([Math.fround(x)]);
      expect(torch.tensor([0.5]).mul(x).tolist()).toEqual([Math.fround(x / 2)]);
    }
    expect(
      numbers()
        .add(MOST - 3)
        .tolist(),
    ).toEqual([MOST - 2, MOST - 1, MOST]);
    expect(torch.full([1], -(2 ** 31)).tolist()).toEqual([-(2 ** 31)]);
  });

  test("takes numbers that Python writes as floats", () => {
    for (const x of [1e10, -1e10, 1.5e12, -1e30]) {
      expect(numbers().mul(x).dtype).toBe("float32");
      expect(numbers().mul(x).tolist()).toEqual([1, 2, 3].map((each) => Math.fround(each * Math.fround(x))));
    }
  });
});
