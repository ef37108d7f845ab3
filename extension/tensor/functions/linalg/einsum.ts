// Einstein summation.
import { apply } from "../../recording/apply.ts";
import { SCALAR_TYPE } from "../../core/dtype.ts";
import { TensorError } from "../../core/errors.ts";
import { matmul as product } from "../../ops/matrix/matmul.ts";
import { permute, sum } from "../../ops/movement/movement.ts";
import { numel } from "../../core/shape.ts";
import type { Tensor } from "../../core/tensor.ts";
import { mul } from "../pointwise/arithmetic.ts";
import { castTo, composed } from "../pointwise/operands.ts";
import { diagonal } from "../shape/orientation.ts";
import { expand } from "../shape/shape.ts";
import { reshaped } from "../shape/views.ts";

const PLAIN = { transposeA: false, transposeB: false };

/**
 * Sums of products written with subscripts: `einsum("bij,bjk->bik", a, b)`. Every letter is a dimension; those that
 * the result doesn't name are summed over, and one that an operand repeats is its diagonal. `...` stands for dimensions
 * that broadcast. Without an arrow the result has those and, in alphabetical order, the letters that occur once.
 * Operands whose product is summed have one type, which isn't bool.
 * @throws TensorError "einsum(): subscript j has size 4 for operand 1 which does not broadcast with previously seen size 3"
 */
export function einsum(equation: string, ...operands: Tensor[] | [readonly Tensor[]]): Tensor {
  const tensors = (Array.isArray(operands[0]) ? operands[0] : operands) as readonly Tensor[];
  return composed(() => contract(equation, tensors));
}

function contract(equation: string, tensors: readonly Tensor[]): Tensor {
  if (tensors.length === 0) {
    throw new TensorError("value", "einsum(): must specify the equation string and at least one operand");
  }
  const { terms, output, sizes } = subscripts(equation, tensors);
  const aligned = tensors.map((x, i) => diagonals({ x, term: terms[i]! }));
  let left = aligned[0]!;
  for (let i = 1; i < aligned.length; i++) {
    const later = new Set([...output, ...terms.slice(i + 1).flat()]);
    left = pairwise(left, aligned[i]!, later, sizes);
  }
  const summed = left.term.flatMap((s, d) => (output.includes(s) ? [] : [d]));
  const x = summed.length > 0 ? total(left.x, summed) : left.x;
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
      x: total(from.x, dims),
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
  // Where nothing is summed, types may differ, and bools be multiplied.
  const alike = left.dtype === right.dtype;
  const single = count(inner) === 1 && (left.dtype === "bool" || !alike);
  if (!alike && !single) {
    const [expected, found] = [SCALAR_TYPE[left.dtype], SCALAR_TYPE[right.dtype]];
    throw new TensorError("dtype", `expected scalar type ${expected} but found ${found}`);
  }
  const result = single ? mul(left, right) : apply(product, [left, right], PLAIN);
  const term = [...batch, ...rows, ...columns];
  return { x: reshaped(result, term.map(size)), term };
}

/** The sum over dimensions: of bools how many are true. */
const total = (x: Tensor, dims: readonly number[]): Tensor =>
  apply(sum, [x.dtype === "bool" ? castTo(x, "int64") : x], { dims, keepdim: false });

const refuse = (message: string, code: "value" | "shape" = "value"): never => {
  throw new TensorError(code, `einsum(): ${message}`);
};

const ELLIPSIS = "...";

/** Subscripts of the operands and of the result if there is an arrow: letters, and one of them "...". */
function parsed(equation: string, operands: number): { terms: string[][]; result: string[] | undefined } {
  const terms: string[][] = [[]];
  let result: string[] | undefined;
  for (let at = 0; at < equation.length; at++) {
    const c = equation[at]!;
    const term = result ?? terms[terms.length - 1]!;
    if (c === " ") continue;
    if (c === ".") {
      const where = result === undefined ? `operand ${terms.length - 1}` : "output";
      const whole = equation.startsWith(ELLIPSIS, at);
      if (term.includes(ELLIPSIS)) {
        refuse(
          result === undefined
            ? `found '.' for ${where} for which an ellipsis was already found`
            : "found '.' for output but an ellipsis (...) was already found",
        );
      }
      if (!whole) {
        refuse(
          `found '.' for ${where} that is not part of any ellipsis${result === undefined ? "" : " (...)"}`,
        );
      }
      term.push(ELLIPSIS);
      at += 2;
    } else if (c === "," && result === undefined) {
      if (terms.length === operands) fewer();
      terms.push([]);
    } else if (equation.startsWith("->", at) && result === undefined) {
      result = [];
      at++;
    } else if (/[a-zA-Z]/.test(c)) {
      if (result?.includes(c)) refuse(`output subscript ${c} appears more than once in the output`);
      term.push(c);
    } else {
      refuse(`invalid subscript given at index ${at} in the equation string, subscripts must be in [a-zA-Z]`);
    }
  }
  if (terms.length < operands) refuse("more operands were provided than specified in the equation");
  return { terms, result };
}

const fewer = (): never => refuse("fewer operands were provided than specified in the equation");

/** Labels of each operand's dimensions and of the result's, and the size of every label. */
function subscripts(
  equation: string,
  tensors: readonly Tensor[],
): { terms: string[][]; output: string[]; sizes: Map<string, number> } {
  const { terms: written, result } = parsed(equation, tensors.length);
  let ellipsis = 0;
  const terms = written.map((term, i) => {
    const { shape } = tensors[i]!;
    const dots = term.includes(ELLIPSIS);
    const letters = term.length - Number(dots);
    const count = `the number of subscripts in the equation (${letters})`;
    const dims = `the number of dimensions (${shape.length}) for operand ${i}`;
    if (dots && letters > shape.length) refuse(`${count} is more than ${dims}`, "shape");
    if (!dots && letters !== shape.length)
      refuse(`${count} does not match ${dims} and no ellipsis was given`, "shape");
    ellipsis = Math.max(ellipsis, shape.length - letters);
    return labelled(term, shape.length - letters);
  });
  const sizes = sizesOf(terms, tensors, ellipsis);
  const output =
    result === undefined
      ? [...labelled([ELLIPSIS], ellipsis), ...implied(terms.flat().filter((s) => !s.startsWith(".")))]
      : labelled(result, ellipsis);
  for (const s of output)
    if (!sizes.has(s)) refuse(`output subscript ${s} does not appear in the equation for any input operand`);
  return { terms, output, sizes };
}

function sizesOf(
  terms: readonly (readonly string[])[],
  tensors: readonly Tensor[],
  ellipsis: number,
): Map<string, number> {
  const sizes = new Map<string, number>();
  terms.forEach((term, i) => {
    const { shape } = tensors[i]!;
    term.forEach((label, d) => {
      const size = shape[d]!;
      const own = shape[term.indexOf(label)]!;
      if (own !== size) {
        refuse(
          `subscript ${label} is repeated for operand ${i} but the sizes don't match, ${size} != ${own}`,
          "shape",
        );
      }
      const seen = sizes.get(label);
      if (seen !== undefined && seen !== size && seen !== 1 && size !== 1) {
        // A space is missing in PyTorch's message, too.
        refuse(
          label.startsWith(".")
            ? `dimension ${ellipsis - 1 - Number(label.slice(1))} covered by ellipsis in operand ${i}has size ${size} which does not broadcast with previously seen ellipsis with size ${seen} for the respective dimension`
            : `subscript ${label} has size ${size} for operand ${i} which does not broadcast with previously seen size ${seen}`,
          "shape",
        );
      }
      sizes.set(label, seen === undefined || seen === 1 ? size : seen);
    });
  });
  return sizes;
}

/** Labels of a term: letters, and `.2 .1 .0` for the dimensions that an ellipsis stands for. */
function labelled(term: readonly string[], count: number): string[] {
  const dots = Array.from({ length: count }, (_, d) => `.${count - 1 - d}`);
  return term.flatMap((s) => (s === ELLIPSIS ? dots : [s]));
}

/** Without an arrow the result has the letters that occur once, in alphabetical order. */
function implied(letters: readonly string[]): string[] {
  return letters.filter((s) => letters.indexOf(s) === letters.lastIndexOf(s)).toSorted();
}

/** The diagonal over each label that occurs more than once. */
function diagonals({ x, term }: Labelled): Labelled {
  const second = term.findIndex((s, d) => term.indexOf(s) !== d);
  if (second < 0) return { x, term };
  const first = term.indexOf(term[second]!);
  const rest = term.filter((_, d) => d !== first && d !== second);
  return diagonals({ x: diagonal(x, 0, first, second), term: [...rest, term[second]!] });
}
