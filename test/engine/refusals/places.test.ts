// Indices that are out of range, and known only when they are computed: refused on both engines, in any row, never a write
// elsewhere.
import { describe, expect, it } from "vitest";
import { F, torch, type Tensor } from "../../../extension/nn/index.ts";
import { onEachEngine } from "../../engines.ts";

const x = (): Tensor => torch.arange(6).float().reshape(2, 3);
const ones = (): Tensor => torch.ones(2, 1);
const gradient = (f: (w: Tensor) => Tensor): Tensor => {
  const w = x().requiresGrad_();
  f(w).sum().backward();
  return w.grad!;
};

/** Each takes an index into three places for each of two rows. */
const ROWS: Record<string, (index: Tensor) => Tensor> = {
  gather: (index) => x().gather(1, index),
  "gather's gradient": (index) => gradient((w) => w.gather(1, index)),
  scatter_: (index) => x().scatter_(1, index, 1),
  scatterAdd_: (index) => x().scatterAdd_(1, index, ones()),
  "scatterReduce_ amax": (index) => x().scatterReduce_(1, index, ones(), "amax"),
  "scatterReduce_ prod": (index) => x().scatterReduce_(1, index, ones(), "prod"),
  nllLoss: (index) => F.nllLoss(x(), index.squeeze(1)),
};

/** Each takes a vector of places among three. */
const VECTORS: Record<string, (index: Tensor) => Tensor> = {
  index: (index) => x().index(":", index),
  indexSelect: (index) => x().indexSelect(1, index),
  indexAdd_: (index) => x().indexAdd_(1, index, torch.ones(2, 2)),
  indexCopy_: (index) => x().indexCopy_(1, index, torch.ones(2, 2)),
  indexFill_: (index) => x().indexFill_(1, index, 1),
  indexPut_: (index) => x().indexPut_([":", index], 1),
  "indexPut_ that adds": (index) => x().indexPut_([":", index], torch.ones(2, 2), true),
  indexReduce_: (index) => x().indexReduce_(1, index, torch.ones(2, 2), "amin"),
  take: (index) => torch.arange(3).take(index),
  embedding: (index) => F.embedding(index, x().t()),
  "embedding's gradient": (index) => gradient((w) => F.embedding(index, w.t())),
};

const REFUSED = /out of (bounds|range)/;
/** Computed only when it is read. */
const computed = (...places: number[]): Tensor => torch.tensor(places).sub(1).add(1);

onEachEngine(() => {
  describe.each([3, -4, 1000])("%d of 3 places", (place) => {
    it.each(Object.keys(ROWS))("%s", (name) => {
      for (const places of [computed(place, 0), computed(0, place)])
        expect(() => ROWS[name]!(places.unsqueeze(1)).tolist()).toThrow(REFUSED);
      // What is known is refused when the function is called: there is the user's line.
      expect(() => ROWS[name]!(torch.tensor([[0], [place]]))).toThrow(REFUSED);
    });

    it.each(Object.keys(VECTORS))("%s", (name) => {
      expect(() => VECTORS[name]!(computed(0, place)).tolist()).toThrow(REFUSED);
      expect(() => VECTORS[name]!(torch.tensor([0, place]))).toThrow(REFUSED);
    });
  });

  it("maxUnpool2d", () => {
    const unpooled = (place: number): Tensor =>
      F.maxUnpool2d(torch.ones(1, 1, 2), torch.tensor([[[0, place]]]), 2);
    expect(() => unpooled(8)).toThrow("Found an invalid max index: 8 (output volumes are of size 2x4)");
    expect(unpooled(7).sum().item()).toBe(2);
  });

  it("leaves the engine as it was", () => {
    expect(x().gather(1, computed(2, 0).unsqueeze(1)).tolist()).toEqual([[2], [3]]);
  });

  it("counts from the end where PyTorch does", () => {
    expect(x().indexFill_(1, computed(-1), 9).tolist()).toEqual([
      [0, 1, 9],
      [3, 4, 9],
    ]);
    expect(torch.takeAlongDim(x(), computed(-1, 4).unsqueeze(0), 1).tolist()).toEqual([
      [2, 1],
      [5, 4],
    ]);
    expect(() => torch.takeAlongDim(x(), computed(-1)).tolist()).toThrow(REFUSED);
  });

  it("says which place, and of how many", () => {
    expect(() => x().indexAdd_(1, computed(0, -2), torch.ones(2, 2)).tolist()).toThrow(
      "index -2 is out of bounds for dimension with size 3",
    );
    expect(() => x().scatter_(1, computed(0, 5).unsqueeze(1), 1).tolist()).toThrow(
      "index 5 is out of bounds for dimension with size 3",
    );
  });
});
