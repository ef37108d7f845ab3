// Decompositions by what defines them: their product is the matrix, and their columns are orthonormal. For sizes, batches,
// scales and ranks of all kinds, on each engine, and as TensorFlow computes them.
import { describe, expect, it } from "vitest";
import { torch, type Tensor } from "../../../extension/nn/index.ts";
import { withPolicy } from "../../../extension/tensor/recording/runtime.ts";
import { onEachEngine } from "../../engines.ts";

const { cholesky, eigh, inv, qr, slogdet, solve, svd } = torch.linalg;

/** Largest difference, relative to the largest number of `expected` or 1e-30. */
function distance(given: Tensor, expected: Tensor): number {
  const scale = Math.max(expected.abs().max().item(), 1e-30);
  return given.sub(expected).abs().max().item() / scale;
}

const turned = (x: Tensor): Tensor => x.transpose(-2, -1);
const unit = (q: Tensor): number => {
  const product = turned(q).matmul(q);
  return distance(product, torch.eye(q.shape.at(-1)!).expandAs(product));
};

/** Random matrices of a rank and a scale. */
function matrices(shape: readonly number[], { rank = Infinity, scale = 1 } = {}): Tensor {
  const [m, n] = shape.slice(-2) as [number, number];
  const r = Math.min(rank, m, n);
  if (rank === Infinity) return torch.randn(...shape).mul(scale);
  const batch = shape.slice(0, -2);
  return torch
    .randn(...batch, m, r)
    .matmul(torch.randn(...batch, r, n))
    .mul(scale);
}

const SHAPES = [
  [1, 1],
  [2, 2],
  [5, 3],
  [3, 5],
  [40, 40],
  [33, 70],
  [2, 3, 6, 6],
  [7, 4, 9],
];
const SQUARES = [
  [1, 1],
  [2, 2],
  [7, 7],
  [40, 40],
  [3, 5, 5],
];
const SCALES = [1e-6, 1, 1e6];

onEachEngine((engine) => {
  const ways = engine === "native" ? [true, false] : [true];
  describe.each(ways)("own kernels: %s", (smallPlans) => {
    const compare = (body: () => void): void => withPolicy({ smallPlans }, body);

    it.each(SHAPES.map((sizes) => [sizes]))("qr and svd of %j", (sizes) => {
      torch.manualSeed(sizes.length);
      compare(() => {
        for (const scale of SCALES) {
          const a = matrices(sizes, { scale });
          const { Q: q, R: r } = qr(a);
          expect(distance(q.matmul(r), a)).toBeLessThan(1e-5);
          expect(unit(q)).toBeLessThan(1e-5);
          expect(r.tril(-1).abs().max().item()).toBe(0);
          const { U: u, S: s, Vh: vh } = svd(a, false);
          expect(distance(u.mul(s.unsqueeze(-2)).matmul(vh), a)).toBeLessThan(1e-5);
          expect(unit(u)).toBeLessThan(1e-5);
          expect(unit(turned(vh))).toBeLessThan(1e-5);
          expect(torch.equal(s, s.sort({ descending: true }).values)).toBe(true);
        }
      });
    });

    it("svd of matrices without full rank", () => {
      torch.manualSeed(2);
      compare(() => {
        for (const sizes of [
          [6, 6],
          [9, 4],
          [4, 9],
          [3, 5, 5],
        ])
          for (const rank of [1, 2]) {
            const a = matrices(sizes, { rank });
            const { U: u, S: s, Vh: vh } = svd(a, false);
            expect(distance(u.mul(s.unsqueeze(-2)).matmul(vh), a)).toBeLessThan(1e-5);
            expect(unit(turned(vh))).toBeLessThan(3e-5);
          }
        expect(torch.linalg.svdvals(torch.zeros(3, 3)).abs().max().item()).toBe(0);
      });
    });

    it.each(SQUARES.map((sizes) => [sizes]))("symmetric and positive definite matrices of %j", (sizes) => {
      torch.manualSeed(3);
      compare(() => {
        for (const scale of SCALES) {
          const x = matrices(sizes, { scale });
          const symmetric = x.add(turned(x));
          const { eigenvalues: w, eigenvectors: v } = eigh(symmetric);
          expect(distance(v.mul(w.unsqueeze(-2)).matmul(turned(v)), symmetric)).toBeLessThan(1e-5);
          expect(unit(v)).toBeLessThan(1e-5);
          const positive = x.matmul(turned(x)).add(torch.eye(sizes.at(-1)!).mul(scale * scale));
          const l = cholesky(positive);
          expect(distance(l.matmul(turned(l)), positive)).toBeLessThan(1e-5);
          expect(l.triu(1).abs().max().item()).toBe(0);
          const inverse = inv(positive);
          expect(distance(inverse.matmul(positive), torch.eye(sizes.at(-1)!).expandAs(x))).toBeLessThan(2e-2);
          const right = torch.randn(...sizes.slice(0, -1), 3);
          expect(distance(positive.matmul(solve(positive, right)), right)).toBeLessThan(2e-2);
          const { sign, logabsdet: log } = slogdet(positive);
          expect(sign.min().item()).toBe(1);
          expect(distance(log, torch.linalg.eigvalsh(positive).log().sum(-1))).toBeLessThan(1e-3);
        }
      });
    });

    it("determinants of singular matrices are 0, of NaN they are NaN", () => {
      compare(() => {
        const { sign, logabsdet: log } = slogdet(
          torch.stack([torch.zeros(2, 2), torch.eye(2).neg(), torch.full([2, 2], NaN)]),
        );
        expect(sign.index(":2").tolist()).toEqual([0, 1]);
        expect(log.index(":2").tolist()).toEqual([-Infinity, 0]);
        expect(log.index(2).item()).toBeNaN();
      });
    });
  });
});
