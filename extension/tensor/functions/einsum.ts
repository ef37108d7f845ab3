// Einstein summation.
import { apply } from "../apply.ts";
import { TensorError } from "../errors.ts";
import { matmul as product } from "../ops/matmul.ts";
import { permute, sum } from "../ops/movement.ts";
import { formatShape, numel } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { composed } from "./operands.ts";
import { expand } from "./shape.ts";
import { reshaped } from "./views.ts";

const PLAIN = { transposeA: false, transposeB: false };

/**
 * Sums of products written with subscripts: `einsum("bij,bjk->bik", a, b)`. Every letter is a dimension; those that
 * the result doesn't name are summed over. `...` stands for leading dimensions that broadcast.
 * @throws TensorError "einsum(): subscript j has size 4 for operand 1 which does not broadcast with previously seen size 3"
 */
export function einsum(equation: string, ...operands: Tensor[] | [readonly Tensor[]]): Tensor {
  const tensors = (Array.isArray(operands[0]) ? operands[0] : operands) as readonly Tensor[];
  return composed(() => contract(equation, tensors));
}

function contract(equation: string, tensors: readonly Tensor[]): Tensor {
  const { terms, output, sizes } = subscripts(equation, tensors);
  const aligned = tensors.map((x, i) => diagonalFree(x, terms[i]!));
  let left: Labelled = { x: aligned[0]!, term: terms[0]! };
  for (let i = 1; i < aligned.length; i++) {
    const later = new Set([...output, ...terms.slice(i + 1).flat()]);
    left = pairwise(left, { x: aligned[i]!, term: terms[i]! }, later, sizes);
  }
  const summed = left.term.flatMap((s, d) => (output.includes(s) ? [] : [d]));
  const x = summed.length > 0 ? apply(sum, [left.x], { dims: summed, keepdim: false }) : left.x;
  const term = left.term.filter((s) => output.includes(s));
  const order = output.map((s) => term.indexOf(s));
  const ordered = order.every((d, i) => d === i);
  return ordered && x !== tensors[0] ? x : apply(permute, [x], { order });
}

interface Labelled {
  readonly x: Tensor;
  /** A label for every dimension. */
  readonly term: readonly string[];
}

/** Contracts two operands over the labels that nothing later needs: one batched matrix product. */
function pairwise(
  a: Labelled,
  b: Labelled,
  later: ReadonlySet<string>,
  sizes: ReadonlyMap<string, number>,
): Labelled {
  const size = (s: string): number => sizes.get(s)!;
  const own = (from: Labelled, other: Labelled): Labelled => {
    const dims = from.term.flatMap((s, d) => (other.term.includes(s) || later.has(s) ? [] : [d]));
    if (dims.length === 0) return from;
    return {
      x: apply(sum, [from.x], { dims, keepdim: false }),
      term: from.term.filter((_, d) => !dims.includes(d)),
    };
  };
  const [l, r] = [own(a, b), own(b, a)];
  const shared = l.term.filter((s) => r.term.includes(s));
  const batch = shared.filter((s) => later.has(s));
  const inner = shared.filter((s) => !later.has(s));
  const rows = l.term.filter((s) => !shared.includes(s));
  const columns = r.term.filter((s) => !shared.includes(s));
  const count = (labels: readonly string[]): number => numel(labels.map(size));
  const arranged = (t: Labelled, labels: readonly string[], shape: readonly number[]): Tensor => {
    const order = labels.map((s) => t.term.indexOf(s));
    const moved = order.every((d, i) => d === i) ? t.x : apply(permute, [t.x], { order });
    const full = labels.map(size);
    return reshaped(expand(moved, full), shape);
  };
  const left = arranged(l, [...batch, ...rows, ...inner], [count(batch), count(rows), count(inner)]);
  const right = arranged(r, [...batch, ...inner, ...columns], [count(batch), count(inner), count(columns)]);
  const result = apply(product, [left, right], PLAIN);
  const term = [...batch, ...rows, ...columns];
  return { x: reshaped(result, term.map(size)), term };
}

/** Labels of each operand's dimensions and of the result's, and the size of every label. */
function subscripts(
  equation: string,
  tensors: readonly Tensor[],
): { terms: string[][]; output: string[]; sizes: Map<string, number> } {
  const [inputs, result] = equation.replaceAll(" ", "").split("->") as [string, string | undefined];
  const written = inputs.split(",");
  if (written.length !== tensors.length) {
    const much = written.length > tensors.length ? "fewer" : "more";
    throw new TensorError("value", `einsum(): ${much} operands were provided than specified in the equation`);
  }
  const sizes = new Map<string, number>();
  let ellipsis = 0;
  const terms = written.map((text, i) => {
    const { shape } = tensors[i]!;
    const letters = text.replace("...", "");
    const extra = text.includes("...") ? shape.length - letters.length : 0;
    if (letters.length + extra !== shape.length || extra < 0) {
      throw new TensorError(
        "shape",
        `einsum(): the number of subscripts in the equation (${letters.length}) does not match the number of dimensions (${shape.length}) for operand ${i}${text.includes("...") ? "" : " and no ellipsis was given"}`,
      );
    }
    ellipsis = Math.max(ellipsis, extra);
    return expandEllipsis(text, extra);
  });
  terms.forEach((term, i) =>
    term.forEach((label, d) => {
      const size = tensors[i]!.shape[d]!;
      const seen = sizes.get(label);
      if (seen !== undefined && seen !== size && seen !== 1 && size !== 1) {
        throw new TensorError(
          "shape",
          `einsum(): subscript ${label} has size ${size} for operand ${i} which does not broadcast with previously seen size ${seen}`,
        );
      }
      sizes.set(label, seen === undefined || seen === 1 ? size : seen);
    }),
  );
  const dots = Array.from({ length: ellipsis }, (_, d) => `.${ellipsis - 1 - d}`);
  const output =
    result === undefined
      ? [...dots, ...implied(terms.flat().filter((s) => !s.startsWith(".")))]
      : expandEllipsis(result, ellipsis);
  for (const s of output) {
    if (sizes.has(s)) continue;
    throw new TensorError(
      "value",
      `einsum(): output subscript ${s} does not appear in the equation for any input operand`,
    );
  }
  return { terms, output, sizes };
}

/** Labels of a term: letters, and `.2 .1 .0` for the dimensions that an ellipsis stands for. */
function expandEllipsis(text: string, count: number): string[] {
  const [before, after] = text.split("...") as [string, string | undefined];
  if (after === undefined) return before.split("");
  const dots = Array.from({ length: count }, (_, d) => `.${count - 1 - d}`);
  return [...before.split(""), ...dots, ...after.split("")];
}

/** Without an arrow the result has the letters that occur once, in alphabetical order. */
function implied(letters: readonly string[]): string[] {
  return letters.filter((s) => letters.indexOf(s) === letters.lastIndexOf(s)).toSorted();
}

function diagonalFree(x: Tensor, term: readonly string[]): Tensor {
  if (new Set(term).size === term.length) return x;
  throw new TensorError(
    "unsupported",
    `einsum(): a subscript that is repeated in one operand is not supported, operand of size ${formatShape(x.shape)}`,
  );
}
