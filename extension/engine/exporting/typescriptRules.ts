import type { OnnxNode } from "../../tensor/lowering/onnx.ts";
import { broadcastShapes, numel, range, sameShape, strides, type Shape } from "../../tensor/core/shape.ts";
import { axisOf, epsilonOf, int, ints, known, type Rule } from "./typescriptNodes.ts";
import { literal, type Numbers, type TypeScriptWriter } from "./typescriptWriter.ts";
import { convolution, padded, pooling, repeated, transposedConvolution } from "./typescriptWindows.ts";
import { gru, lstm, rnn } from "./typescriptSequences.ts";

/** Element by element; inputs broadcast, and single numbers are written where they are used. */
const elementwise =
  (write: (...operands: string[]) => string, helper?: string): Rule =>
  (w, given) => {
    const inputs = given as readonly Numbers[];
    if (helper !== undefined) w.helper(helper);
    const shape = inputs.map((x) => x.shape).reduce((a, b) => broadcastShapes(a, b));
    const letters = ["x", "y", "z"].values();
    const arrays: Numbers[] = [];
    const operands = inputs.map((x) => {
      const first = arrays.indexOf(x);
      if (first >= 0) return "xyz"[first]!;
      if (x.data !== undefined && numel(x.shape) === 1) {
        const number = literal(x.data[0]!);
        return number.startsWith("-") ? `(${number})` : number;
      }
      arrays.push(x);
      return letters.next().value!;
    });
    if (arrays.length === 0) {
      const constant = { shape, data: new Float32Array(numel(shape)) };
      // TypeScript refuses to compare literals of different values.
      const wide = operands.map((number) => `(${number} as number)`);
      return [w.call("map", shape, constant, `() => ${write(...wide)}`)];
    }
    const function_ = `(${["x", "y", "z"].slice(0, arrays.length).join(", ")}) => ${write(...operands)}`;
    const name = ["map", "map2", "map3"][arrays.length - 1]!;
    return [w.call(name, shape, ...arrays.map((x) => w.broadcast(x, shape)), function_)];
  };

const calls = (f: string): Rule => elementwise((...operands) => `${f}(${operands.join(", ")})`);
const infix = (sign: string): Rule => elementwise((x, y) => `${x} ${sign} ${y}`);
const comparison = (sign: string): Rule => elementwise((x, y) => `Number(${x} ${sign} ${y})`);

/** Adds two constants of one shape, such as the two biases of a layer; else undefined. */
function sumOfConstants([x, y]: readonly (Numbers | undefined)[]): readonly Numbers[] | undefined {
  const [a, b] = [x?.data, y?.data];
  if (a === undefined || b === undefined || !sameShape(x!.shape, y!.shape)) return undefined;
  return [{ ...x!, data: Float32Array.from(a, (value, i) => value + b[i]!) }];
}

/** The same elements in another shape. */
const reshaped =
  (shapeOf: (x: Numbers, inputs: readonly (Numbers | undefined)[], node: OnnxNode) => Shape): Rule =>
  (_, inputs, node) => {
    const x = inputs[0]!;
    // A name of its own would be that of the constant.
    return [{ ...x, shape: shapeOf(x, inputs, node) }];
  };

/** Moves the given dimensions last; `back` is the order that undoes this. */
function turned(w: TypeScriptWriter, x: Numbers, axes: readonly number[]): { rows: Numbers; back: number[] } {
  const kept = range(x.shape.length).filter((d) => !axes.includes(d));
  const order = [...kept, ...axes];
  return { rows: w.permuted(x, order), back: range(order.length).map((d) => order.indexOf(d)) };
}

const sizeOf = (x: Numbers, axes: readonly number[]): number => axes.reduce((n, d) => n * x.shape[d]!, 1);

/** Reduces some dimensions to one number. */
function reducing(
  w: TypeScriptWriter,
  x: Numbers,
  dims: readonly number[],
  keep: boolean,
  f: string,
): Numbers {
  const axes = dims.map((d) => axisOf(d, x.shape)).sort((a, b) => a - b);
  const shape = keep
    ? x.shape.map((n, d) => (axes.includes(d) ? 1 : n))
    : x.shape.filter((_, d) => !axes.includes(d));
  return w.call("reduce", shape, turned(w, x, axes).rows, sizeOf(x, axes), w.helper(f));
}

const reduction =
  (f: string): Rule =>
  (w, [x, axes], node) => {
    const dims = known(axes) ?? ints(node, "axes") ?? range(x!.shape.length);
    if (dims.length === 0 && int(node, "noop_with_empty_axes", 0) === 1) return [x!];
    return [reducing(w, x!, dims, int(node, "keepdims", 1) === 1, f)];
  };

const indexOf =
  (f: string): Rule =>
  (w, [x], node) => [reducing(w, x!, [int(node, "axis", 0)], int(node, "keepdims", 1) === 1, f)];

/** Maps each row along a dimension to another row. */
function alongAxis(w: TypeScriptWriter, x: Numbers, axis: number, f: string): Numbers {
  const { rows, back } = turned(w, x, [axisOf(axis, x.shape)]);
  return w.permuted(w.call("eachRow", rows.shape, rows, rows.shape.at(-1)!, f), back);
}

const rowwise =
  (f: string): Rule =>
  (w, [x], node) => [alongAxis(w, x!, int(node, "axis", -1), w.helper(f))];

/** Transposes the last two dimensions. */
const swapped = (w: TypeScriptWriter, x: Numbers): Numbers => {
  const rank = x.shape.length;
  return w.permuted(x, [...range(rank - 2), rank - 1, rank - 2]);
};

function product(w: TypeScriptWriter, x: Numbers, y: Numbers): Numbers {
  const batch = broadcastShapes(x.shape.slice(0, -2), y.shape.slice(0, -2));
  const [rows, inner] = x.shape.slice(-2) as [number, number];
  const columns = y.shape.at(-1)!;
  const shape = [...batch, rows, columns];
  // Weights stay as they are, a row for each output.
  if (y.shape.length === 2 && y.data !== undefined)
    return w.call("linear", shape, x, swapped(w, y), numel(batch) * rows, inner, columns);
  return w.call(
    "matmul",
    shape,
    w.broadcast(x, [...batch, rows, inner]),
    w.broadcast(y, [...batch, inner, columns]),
    numel(batch),
    rows,
    inner,
    columns,
  );
}

const gemm: Rule = (w, [a, b], node) => {
  const x = int(node, "transA", 0) === 1 ? swapped(w, a!) : a!;
  if (int(node, "transB", 0) !== 1) return [product(w, x, b!)];
  const [rows, inner] = x.shape as [number, number];
  const columns = b!.shape[0]!;
  return [w.call("linear", [rows, columns], x, b!, rows, inner, columns)];
};

const slice: Rule = (w, [x, starts, ends, axes, steps]) => {
  const { shape } = x!;
  const own = strides(shape);
  const [begin, end, dims, step] = [starts, ends, axes, steps].map((list) => known(list));
  const [sizes, jumps] = [[...shape], [...own]];
  let start = 0;
  begin!.forEach((from, i) => {
    const d = axisOf(dims?.[i] ?? i, shape);
    const n = shape[d]!;
    const by = step?.[i] ?? 1;
    const inside = (at: number, least: number, most: number): number =>
      Math.min(Math.max(at < 0 ? at + n : at, least), most);
    const first = by > 0 ? inside(from, 0, n) : inside(from, 0, n - 1);
    const last = by > 0 ? inside(end![i]!, 0, n) : Math.max(end![i]! < -n ? -1 : inside(end![i]!, -1, n), -1);
    sizes[d] = Math.max(0, Math.ceil((last - first) / by));
    jumps[d] = own[d]! * by;
    start += first * own[d]!;
  });
  return [w.view(x!, sizes, jumps, start)];
};

const split: Rule = (w, [x, sizes], node) => {
  const axis = axisOf(int(node, "axis", 0), x!.shape);
  const own = strides(x!.shape);
  const equal = node.outputs.map(() => x!.shape[axis]! / node.outputs.length);
  let from = 0;
  return (known(sizes) ?? equal).map((size) => {
    const part = w.view(
      x!,
      x!.shape.map((n, d) => (d === axis ? size : n)),
      own,
      from * own[axis]!,
    );
    from += size;
    return part;
  });
};

const concat: Rule = (w, given, node) => {
  const inputs = given as readonly Numbers[];
  const axis = axisOf(int(node, "axis", 0), inputs[0]!.shape);
  const widths = inputs.map(({ shape }) => numel(shape.slice(axis)));
  const total = inputs.reduce((n, { shape }) => n + shape[axis]!, 0);
  const shape = inputs[0]!.shape.map((n, d) => (d === axis ? total : n));
  if (inputs.length === 1) return [inputs[0]!];
  const list = inputs.every(({ data }) => data !== undefined);
  if (list && axis === 0) {
    const all = inputs.flatMap(({ data }) => Array.from(data!));
    return [
      {
        shape,
        data: Float32Array.from(all),
        name: inputs.find(({ name }) => name !== undefined)?.name ?? "joined",
      },
    ];
  }
  return [w.call("concat", shape, `[${inputs.map((x) => w.code(x)).join(", ")}]`, widths)];
};

const gather: Rule = (w, [x, index], node) => {
  const axis = axisOf(int(node, "axis", 0), x!.shape);
  const [before, size, after] = [x!.shape.slice(0, axis), x!.shape[axis]!, x!.shape.slice(axis + 1)];
  const shape = [...before, ...index!.shape, ...after];
  return [w.call("gather", shape, x!, index!, numel(before), size, numel(after))];
};

const gatherElements: Rule = (w, [x, index]) => {
  const leading = index!.shape.slice(0, -1);
  const own = strides(x!.shape);
  const rows = w.view(x!, [...leading, x!.shape.at(-1)!], own);
  return [w.call("pick", index!.shape, rows, index!, x!.shape.at(-1)!, index!.shape.at(-1)!)];
};

const topK: Rule = (w, [x, k], node) => {
  const axis = axisOf(int(node, "axis", -1), x!.shape);
  if (axis !== x!.shape.length - 1) w.refuse("only the last dimension can be sorted");
  const [count] = known(k) as [number];
  const shape = [...x!.shape.slice(0, -1), count];
  return w.parts([shape, shape], w.expression("topk", [x!, x!.shape.at(-1)!, count]));
};

const cumSum: Rule = (w, [x, axis], node) => {
  const [at] = known(axis) as [number];
  const reverse = int(node, "reverse", 0) === 1;
  const f = reverse
    ? `(row) => ${w.helper("cumulative")}(row.slice().reverse()).reverse()`
    : w.helper("cumulative");
  return [alongAxis(w, x!, at, f)];
};

const layerNorm: Rule = (w, [x, scale, bias], node) => {
  const epsilon = literal(epsilonOf(node));
  const unit = w.call(
    "eachRow",
    x!.shape,
    x!,
    x!.shape.at(-1)!,
    `(row) => ${w.helper("normalized")}(row, ${epsilon})`,
  );
  const scaled = infix("*")(w, [unit, scale], node);
  return bias === undefined ? scaled : infix("+")(w, [scaled[0], bias], node);
};

/** The scale is 1 and the bias 0: learned ones are separate nodes. */
const instanceNorm: Rule = (w, [x], node) => {
  const unit = `(row) => ${w.helper("normalized")}(row, ${literal(epsilonOf(node))})`;
  return [w.call("eachRow", x!.shape, x!, numel(x!.shape.slice(2)), unit)];
};

/** Layout of the windows of a convolution or pooling. */
const layoutOf = (node: OnnxNode) => ({
  stride: ints(node, "strides")!,
  pads: ints(node, "pads") ?? ints(node, "strides")!.flatMap(() => [0, 0]),
  dilation: ints(node, "dilations"),
  groups: int(node, "group", 1),
});

const batchNorm: Rule = (w, [x, scale, bias, mean, variance], node) => {
  const epsilon = epsilonOf(node);
  const [g, b, m, v] = [scale, bias, mean, variance].map(known);
  if (g === undefined || b === undefined || m === undefined || v === undefined)
    return w.refuse("its statistics are computed on the way");
  const column = [g.length, ...x!.shape.slice(2).map(() => 1)];
  const factor = Float32Array.from(g, (value, i) => value / Math.sqrt(v[i]! + epsilon));
  const shift = Float32Array.from(b, (value, i) => value - (m[i]! * g[i]!) / Math.sqrt(v[i]! + epsilon));
  const constant = (data: Float32Array, word: string): Numbers => ({
    shape: column,
    data,
    name: `${node.name}/${word}`,
  });
  return elementwise((a, by, plus) => `${a} * ${by} + ${plus}`)(
    w,
    [x, constant(factor, "factor"), constant(shift, "shift")],
    node,
  );
};

const cast: Rule = (w, [x], node) => {
  const { to } = node.attributes;
  const type = to?.kind === "type" ? to.value : "float32";
  if (type === "bool") return elementwise((a) => `Number(${a} !== 0)`)(w, [x], node);
  return type === "float32" ? [x!] : calls("Math.trunc")(w, [x], node);
};

const clip: Rule = (w, [x, least, most], node) =>
  elementwise((a) => {
    const above = least === undefined ? a : `Math.max(${a}, ${literal(known(least)![0]!)})`;
    return most === undefined ? above : `Math.min(${above}, ${literal(known(most)![0]!)})`;
  })(w, [x], node);

/** Rules by op of ONNX; other ops are refused by name. */
export const RULES: Readonly<Record<string, Rule>> = {
  Add: (w, inputs, node) => sumOfConstants(inputs) ?? infix("+")(w, inputs, node),
  Sub: infix("-"),
  Mul: infix("*"),
  Div: infix("/"),
  Pow: infix("**"),
  Max: calls("Math.max"),
  Min: calls("Math.min"),
  Equal: comparison("==="),
  Less: comparison("<"),
  LessOrEqual: comparison("<="),
  Greater: comparison(">"),
  GreaterOrEqual: comparison(">="),
  And: infix("*"),
  Or: calls("Math.max"),
  Not: elementwise((x) => `1 - ${x}`),
  Where: elementwise((condition, x, y) => `${condition} !== 0 ? ${x} : ${y}`),
  Neg: elementwise((x) => `-${x}`),
  Abs: calls("Math.abs"),
  Sign: calls("Math.sign"),
  Exp: calls("Math.exp"),
  Log: calls("Math.log"),
  Sqrt: calls("Math.sqrt"),
  Reciprocal: elementwise((x) => `1 / ${x}`),
  Sin: calls("Math.sin"),
  Cos: calls("Math.cos"),
  Tan: calls("Math.tan"),
  Asin: calls("Math.asin"),
  Acos: calls("Math.acos"),
  Atan: calls("Math.atan"),
  Sinh: calls("Math.sinh"),
  Cosh: calls("Math.cosh"),
  Tanh: calls("Math.tanh"),
  Asinh: calls("Math.asinh"),
  Acosh: calls("Math.acosh"),
  Atanh: calls("Math.atanh"),
  Floor: calls("Math.floor"),
  Ceil: calls("Math.ceil"),
  Round: elementwise((x) => `roundEven(${x})`, "roundEven"),
  IsNaN: elementwise((x) => `Number(Number.isNaN(${x}))`),
  Relu: elementwise((x) => `Math.max(${x}, 0)`),
  Sigmoid: elementwise((x) => `sigmoid(${x})`, "sigmoid"),
  Softplus: elementwise((x) => `Math.max(${x}, 0) + Math.log1p(Math.exp(-Math.abs(${x})))`),
  Erf: elementwise((x) => `erf(${x})`, "erf"),
  Clip: clip,
  Cast: cast,
  Identity: reshaped((x) => x.shape),
  Reshape: reshaped((x, [, to]) => {
    // 0 stands for the input's size.
    const sizes = known(to)!.map((n, d) => (n === 0 ? x.shape[d]! : n));
    const rest = numel(x.shape) / sizes.filter((n) => n !== -1).reduce((n, size) => n * size, 1);
    return sizes.map((size) => (size === -1 ? rest : size));
  }),
  Unsqueeze: reshaped((x, [, axes]) => {
    const rank = x.shape.length + known(axes)!.length;
    const added = known(axes)!.map((d) => (d < 0 ? d + rank : d));
    const rest = x.shape.values();
    return range(rank).map((d) => (added.includes(d) ? 1 : rest.next().value!));
  }),
  Squeeze: reshaped((x, [, axes]) => {
    const gone = known(axes)?.map((d) => axisOf(d, x.shape));
    return x.shape.filter((n, d) => (gone === undefined ? n !== 1 : !gone.includes(d)));
  }),
  Transpose: (w, [x], node) => [w.permuted(x!, ints(node, "perm") ?? range(x!.shape.length).toReversed())],
  Expand: (w, [x, shape]) => [w.broadcast(x!, broadcastShapes(x!.shape, known(shape)!))],
  Slice: slice,
  Split: split,
  Concat: concat,
  Pad: (w, [x, pads, value]) => {
    const widths = known(pads)!;
    return [
      padded(w, x!, widths.slice(0, x!.shape.length), widths.slice(x!.shape.length), known(value)?.[0] ?? 0),
    ];
  },
  Gather: gather,
  GatherElements: gatherElements,
  MatMul: (w, [x, y]) => [product(w, x!, y!)],
  Gemm: gemm,
  Conv: (w, [x, weight], node) => [convolution(w, x!, weight!, layoutOf(node))],
  ConvTranspose: (w, [x, weight], node) => [
    transposedConvolution(w, x!, weight!, {
      ...layoutOf(node),
      after: ints(node, "output_padding")!,
    }),
  ],
  MaxPool: (w, [x], node) => [pooling(w, x!, "max", ints(node, "kernel_shape")!, layoutOf(node))],
  AveragePool: (w, [x], node) => [pooling(w, x!, "mean", ints(node, "kernel_shape")!, layoutOf(node))],
  Resize: (w, [x, , scales]) => [
    repeated(w, x!, known(scales) ?? w.refuse("its scales are computed on the way")),
  ],
  InstanceNormalization: instanceNorm,
  ReduceSum: reduction("sum"),
  ReduceMean: reduction("mean"),
  ReduceMax: reduction("max"),
  ReduceMin: reduction("min"),
  ReduceProd: reduction("product"),
  ReduceL2: reduction("norm"),
  ArgMax: indexOf("argmax"),
  ArgMin: indexOf("argmin"),
  Softmax: rowwise("softmax"),
  LogSoftmax: rowwise("logSoftmax"),
  TopK: topK,
  CumSum: cumSum,
  LayerNormalization: layerNorm,
  BatchNormalization: batchNorm,
  RNN: (w, inputs, { attributes: { activations } }) =>
    rnn(w, inputs, activations?.kind === "strings" ? activations.value[0]! : "Tanh"),
  GRU: (w, inputs) => gru(w, inputs),
  LSTM: (w, inputs) => lstm(w, inputs),
};
