// Functions that take complex tensors, and how: every other one refuses them (see ComplexTensor.value).
import { TensorError } from "../core/errors.ts";
import { Tensor } from "../core/tensor.ts";
import { equal, item, to, tolist, type ToArguments } from "../functions/creation/conversion.ts";
import { copy_, fill_, zero_ } from "../functions/creation/filling.ts";
import { indexPut_ } from "../functions/indexing/indexing.ts";
import { einsum } from "../functions/linalg/einsum.ts";
import { dot } from "../functions/linalg/linalg.ts";
import { add, mul, sub } from "../functions/pointwise/arithmetic.ts";
import {
  isfinite,
  isinf,
  isnan,
  le,
  logicalOr,
  maskedFill,
  where,
} from "../functions/pointwise/elementwise.ts";
import { composed, listOf, named, type TensorList } from "../functions/pointwise/operands.ts";
import { all } from "../functions/reduction/reduction.ts";
import { copied } from "../functions/shape/views.ts";
import { backwardAll } from "../recording/autograd.ts";
import { isNamed } from "../signatures/bind.ts";
import { ComplexTensor } from "./complexTensor.ts";
import { CREATION, LIKE } from "./creation.ts";
import { called, viewAsReal } from "./functions.ts";
import {
  bilinear,
  complexOf,
  imaginaryPart,
  partsOf,
  partwise,
  realPart,
  toComplex,
  writing,
  type Form,
  type Operand,
} from "./parts.ts";
import * as pointwise from "./pointwise.ts";

/** Functions applied to the real and to the imaginary part: those that move or sum elements. */
const PARTWISE = new Set(
  `T broadcastTo cat chunk clone columnStack concat concatenate contiguous cumsum data detach detach_ diag
  diagEmbed diagflat diagonal diagonalScatter diff dsplit dstack expand expandAs flatten flip fliplr flipud gather hsplit
  hstack index indexAdd indexCopy indexSelect mT maskedSelect mean moveaxis movedim narrow permute ravel repeat
  repeatInterleave reshape reshapeAs retainGrad roll rot90 rowStack scatterAdd select selectScatter sliceScatter split
  squeeze stack sum swapaxes swapdims t take takeAlongDim tensorSplit tile trace transpose tril triu unbind unflatten
  unfold unsqueeze view viewAs vsplit vstack`.split(/\s+/),
);

/** Products that are linear in both operands. */
const BILINEAR = new Set("bmm dot ger inner kron matmul mm mul multiply mv outer tensordot".split(" "));

/** A real result under PyTorch's name of its gradient. */
const realForm =
  (gradient: string, f: (z: ComplexTensor) => Tensor): Form =>
  (z: ComplexTensor) =>
    composed(() => named(f(z), gradient));

/** A complex result under PyTorch's name of its gradient. */
const complexForm =
  (gradient: string, f: Form): Form =>
  (...args: never[]) =>
    called(gradient, (f as (...args: unknown[]) => ComplexTensor)(...args));

const abs = realForm("AbsBackward0", pointwise.size);
const div = complexForm("DivBackward0", pointwise.over);
const neg = complexForm("NegBackward0", pointwise.negative);
const minus = complexForm("SubBackward0", pointwise.minus);
const pow = complexForm("PowBackward0", pointwise.power);

const ELEMENTWISE: Readonly<Record<string, Form>> = {
  abs,
  absolute: abs,
  add: complexForm("AddBackward0", pointwise.plus),
  sub: minus,
  subtract: minus,
  rsub: complexForm("RsubBackward1", pointwise.minusFrom),
  div,
  divide: div,
  trueDivide: div,
  neg,
  negative: neg,
  positive: (z: Tensor) => z,
  pow,
  square: complexForm("PowBackward0", pointwise.square),
  exp: complexForm("ExpBackward0", pointwise.exponential),
  log: complexForm("LogBackward0", pointwise.logarithm),
  sqrt: complexForm("SqrtBackward0", pointwise.root),
  reciprocal: complexForm("ReciprocalBackward0", pointwise.reciprocal),
  sgn: complexForm("SgnBackward0", pointwise.sign),
  eq: pointwise.equals,
  ne: pointwise.differs,
  notEqual: pointwise.differs,
  isnan: pointwise.either(isnan),
  isinf: pointwise.either(isinf),
  isfinite: pointwise.both(isfinite),
  isclose,
};

/** |a − b| ≤ atol + rtol · |b|, or both are equal. */
function isclose(a: Tensor, b: Tensor, options: { rtol?: number; atol?: number } = {}): Tensor {
  const { rtol = 1e-5, atol = 1e-8 } = options;
  return composed(() => {
    const distance = pointwise.size(pointwise.minus(a, b));
    const bound = add(mul(pointwise.size(toComplex(b)), rtol), atol);
    return logicalOr(pointwise.equals(a, b), le(distance, bound));
  });
}

/** Sums of products, written out in the parts: a term for each choice of parts, i to the power of the imaginary ones. */
function complexEinsum(equation: string, ...given: TensorList): Tensor {
  const operands = listOf(given);
  return complexOf(() => {
    let terms: { chosen: Tensor[]; power: number }[] = [{ chosen: [], power: 0 }];
    for (const operand of operands) {
      const im = imaginaryPart(operand);
      terms = terms.flatMap(({ chosen, power }) => [
        { chosen: [...chosen, realPart(operand)], power },
        ...(im === undefined ? [] : [{ chosen: [...chosen, im], power: power + 1 }]),
      ]);
    }
    const part = (odd: number): Tensor =>
      terms
        .filter(({ power }) => power % 2 === odd)
        .map(({ chosen, power }) => ({ x: einsum(equation, ...chosen), negative: power % 4 >= 2 }))
        // The first has the smallest power, 0 or 1, and so no sign.
        .reduce((sum, { x, negative }) => ({ x: (negative ? sub : add)(sum.x, x), negative: false })).x;
    return [part(0), part(1)];
  });
}

/** Type that a call of `to` or its like requests: the first one among the arguments. */
function typeOf(args: ToArguments): unknown {
  for (const arg of args) {
    if (arg instanceof Tensor || (isNamed(arg) && arg["dtype"] != null)) return (arg as Tensor).dtype;
    if (arg === "complex64" || arg === "float32" || arg === "int64" || arg === "bool") return arg;
  }
  return undefined;
}

/** Another type of a complex tensor is that of its real part, as in PyTorch. */
function converted(input: Tensor, ...args: ToArguments): Tensor {
  const type = typeOf(args);
  const copy = args.some((arg) => isNamed(arg) && arg["copy"] === true);
  if (type !== undefined && type !== "complex64") return to(copied(realPart(input)), ...args);
  const z = toComplex(input);
  return copy ? complexOf(() => [copied(z.re), copied(z.im)]) : z;
}

/** Writes into a part of a complex tensor; a real value has 0 as its imaginary part. */
function put(
  input: Tensor,
  specs: Parameters<typeof indexPut_>[1],
  value: Operand,
  options?: boolean | { accumulate?: boolean },
): Tensor {
  if (!(input instanceof ComplexTensor)) {
    throw new TensorError(
      "dtype",
      "Index put requires the source and destination dtypes match, got Float for the destination and ComplexFloat for the source.",
    );
  }
  indexPut_(input.re, specs, realPart(value), options);
  indexPut_(input.im, specs, imaginaryPart(value) ?? 0, options);
  return input;
}

const READING: Readonly<Record<string, Form>> = {
  to: converted,
  type: converted,
  typeAs: converted,
  float: (z: ComplexTensor) => copied(z.re),
  tolist: (z: ComplexTensor) => tolist(viewAsReal(z)),
  item: (): never => {
    throw new TensorError(
      "unsupported",
      "JavaScript has no complex numbers",
      "read z.real.item() and z.imag.item()",
    );
  },
  equal: (a: Tensor, b: Tensor) => {
    const [[ar, ai], [br, bi]] = [partsOf(a), partsOf(b)];
    return equal(ar, br) && equal(ai, bi);
  },
  allclose: (a: Tensor, b: Tensor, options?: Parameters<typeof isclose>[2]) =>
    item(all(isclose(a, b, options))),
  backward: (z: ComplexTensor, gradient?: Tensor | { gradient?: Tensor }, options?: object) => {
    const given = gradient instanceof Tensor ? { ...options, gradient } : gradient;
    if (given?.gradient === undefined) {
      throw new TensorError(
        "autograd",
        "grad can be implicitly created only for real scalar outputs but got ComplexFloat",
      );
    }
    const seeds = partsOf(given.gradient);
    const roots = [z.re, z.im].flatMap((x, i) => (x.requiresGrad ? [{ x, seed: seeds[i]! }] : []));
    backwardAll(
      roots.map(({ x }) => x),
      { ...given, gradTensors: roots.map(({ seed }) => seed) },
    );
  },
};

const WRITING: Readonly<Record<string, Form>> = {
  copy_: (input: Tensor, source: Tensor) => {
    copy_(realPart(input), realPart(source));
    if (input instanceof ComplexTensor) copy_(input.im, partsOf(source)[1]);
    return input;
  },
  fill_: (z: ComplexTensor, value: Operand) => {
    fill_(z.re, realPart(value));
    fill_(z.im, imaginaryPart(value) ?? 0);
    return z;
  },
  zero_: (z: ComplexTensor) => {
    zero_(z.re);
    zero_(z.im);
    return z;
  },
  indexPut_: put,
  indexPut: (z: Tensor, ...rest: [never, never]) =>
    put(
      complexOf(() => [copied(partsOf(z)[0]), copied(partsOf(z)[1])]),
      ...rest,
    ),
};

const MIXED: Readonly<Record<string, Form>> = {
  einsum: complexEinsum,
  vdot: (a: Tensor, b: Tensor) => bilinear(dot)(pointwise.conjugate(toComplex(a)), b),
  where: (condition: Tensor, a: Operand, b: Operand) =>
    complexOf(() => [
      where(condition, realPart(a), realPart(b)),
      where(condition, imaginaryPart(a) ?? 0, imaginaryPart(b) ?? 0),
    ]),
  maskedFill: (z: Tensor, mask: Tensor, value: Operand) =>
    complexOf(() => {
      const [re, im] = partsOf(z);
      return [maskedFill(re, mask, realPart(value)), maskedFill(im, mask, imaginaryPart(value) ?? 0)];
    }),
};

const FORMS: Readonly<Record<string, Form>> = {
  ...ELEMENTWISE,
  ...CREATION,
  ...READING,
  ...WRITING,
  ...MIXED,
};

/** Methods whose arguments differ from those of the function of the same name. */
const METHODS: Readonly<Record<string, Form>> = {
  where: (a: Operand, condition: Tensor, b: Operand) =>
    (MIXED["where"] as (...args: unknown[]) => Tensor)(condition, a, b),
};

/** The complex form of a function, if it has one. */
function formOf(name: string, f: Form, method: boolean): Form | undefined {
  if (method && Object.hasOwn(METHODS, name)) return METHODS[name];
  if (Object.hasOwn(FORMS, name)) return FORMS[name];
  if (Object.hasOwn(LIKE, name)) return LIKE[name]!(f);
  if (PARTWISE.has(name)) return partwise(f);
  if (BILINEAR.has(name)) return bilinear(f);
  // The norm of a complex tensor is that of its absolute values.
  if (name === "norm")
    return (z: ComplexTensor, ...rest: readonly unknown[]) => {
      // But singular values are those of the complex matrix.
      const [p] = rest;
      const nuclear = p === "nuc" || (isNamed(p) && p["p"] === "nuc");
      return (f as (...args: unknown[]) => Tensor)(nuclear ? z : pointwise.size(z), ...rest);
    };
  if (!name.endsWith("_")) return undefined;
  const computing = name.slice(0, -1);
  return Object.hasOwn(ELEMENTWISE, computing) || computing === "mul" || computing === "maskedFill"
    ? writing(formOf(computing, computing === "mul" ? mul : f, false)!)
    : undefined;
}

/** Whether an argument is complex: a tensor, a list with one, or the dtype. */
function isComplexArgument(x: unknown): boolean {
  if (typeof x !== "object" || x === null) return x === "complex64";
  if (x instanceof Tensor) return x instanceof ComplexTensor;
  if (Array.isArray(x)) return x.some((one) => one instanceof ComplexTensor);
  return isNamed(x) && x["dtype"] === "complex64";
}

type Callee = (...args: readonly unknown[]) => unknown;

/** Returns the function to call for these arguments; for a method, `input` is the tensor before the dot. */
export type Choice = (args: readonly unknown[], input?: unknown) => Callee;

/**
 * Chooses the complex form of a function for calls with a complex argument, and the function itself for others; undefined if
 * there is no complex form. The caller calls the chosen function: a wrapper would add a frame to every stack trace, and
 * errors would no longer reach the user's line.
 */
export function complexChoice(name: string, f: Callee, method = false): Choice | undefined {
  const form = formOf(name, f, method) as Callee | undefined;
  if (form === undefined) return undefined;
  return (args, input) => {
    if (input instanceof ComplexTensor) return form;
    for (const arg of args) if (isComplexArgument(arg)) return form;
    return f;
  };
}
