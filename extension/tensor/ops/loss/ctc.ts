// Connectionist temporal classification (Graves et al. 2006), row by row of a batch.
import { apply } from "../../recording/apply.ts";
import {
  attr,
  scalar,
  vector,
  type TfAttribute,
  type TfBuilder,
  type TfRef,
} from "../../lowering/lowering.ts";
import { gatherNode, reduceNode, reshapeNode } from "../../lowering/nodes.ts";
import { TRAINING_ONLY } from "../../lowering/onnx.ts";
import { merging } from "../../recording/batchRules.ts";
import { defineOp, type Op } from "../../recording/op.ts";
import { numel, range } from "../../core/shape.ts";
import { TensorError } from "../../core/errors.ts";
import { mul } from "../elementwise/elementwise.ts";
import { reshape } from "../movement/movement.ts";
import { call } from "../expressions.ts";

export interface CtcAttributes {
  /** The class that stands for no label. */
  readonly blank: number;
  /** Rows without any path cost 0 instead of infinity. */
  readonly zeroInfinity: boolean;
}

/**
 * −ln of the probability of each target: the sum over all paths that become it when repetitions and blanks are dropped.
 * Inputs: log-probabilities [T, N, C], targets [N, L], lengths of inputs and of targets [N]. The second output is the
 * gradient of each row's loss, which is that of PyTorch: as if the log-probabilities came from a softmax.
 */
export const ctcLoss: Op<CtcAttributes> = defineOp<CtcAttributes>({
  name: "ctcLoss",
  gradName: "CtcLossBackward0",
  infer: ([logs]) => [
    { shape: [logs!.shape[1]!], dtype: "float32" },
    { shape: logs!.shape, dtype: "float32" },
  ],
  gradient({ grads: [loss, second], inputs: [logs], outputs: [, rows] }) {
    if (second) throw new TensorError("autograd", "ctc_loss can be differentiated once only");
    if (!loss) return [null, null, null, null];
    const g = apply(reshape, [loss], { shape: [1, logs!.shape[1]!, 1] });
    return [call(mul, rows!, g), null, null, null];
  },
  batch: merging([1, 0, 0, 0], [0, 1]),
  onnx: TRAINING_ONLY,
  tensorflow: (b, inputs, attributes, { inputs: metas }) => {
    if (b.exact === true) {
      const { blank, zeroInfinity } = attributes;
      return b.nodes(
        "CtcLoss",
        inputs,
        { blank: attr.int(blank), zero_infinity: attr.bool(zeroInfinity) },
        2,
      );
    }
    const [steps, rows, classes] = metas[0]!.shape as [number, number, number];
    return new Graph(b, steps, rows, classes, metas[1]!.shape[1]!, attributes).build(inputs);
  },
  tfjs(k, [logs, targets, inputLengths, targetLengths], attributes) {
    const [steps, rows, classes] = logs!.shape as [number, number, number];
    const table = logs!.dataSync<"float32">();
    const loss = new Float32Array(rows);
    const grad = new Float32Array(table.length);
    const width = targets!.shape[1]!;
    const labels = targets!.dataSync();
    const [times, lengths] = [inputLengths!.dataSync(), targetLengths!.dataSync()];
    for (let n = 0; n < rows; n++) {
      const own = labels.subarray(n * width, n * width + lengths[n]!);
      checkLabels(own, classes);
      const view = { table, offset: n * classes, stride: rows * classes, classes };
      loss[n] = paths(view, own, Math.min(times[n]!, steps), attributes, grad);
    }
    return [k.tensor1d(loss), k.tensor3d(grad, [steps, rows, classes])];
  },
  cost: ({ inputs: [logs, targets] }) =>
    6 * logs!.shape[0]! * logs!.shape[1]! * (2 * targets!.shape[1]! + 1) + numel(logs!.shape),
});

/** @throws TensorError "Target 9 is out of bounds." */
export function checkLabels(labels: Iterable<number>, classes: number): void {
  for (const label of labels)
    if (!(label >= 0 && label < classes)) throw new TensorError("index", `Target ${label} is out of bounds.`);
}

/** One row's log-probabilities: that of class c at time t is `table[offset + t · stride + c]`. */
interface Row {
  readonly table: Float32Array;
  readonly offset: number;
  readonly stride: number;
  readonly classes: number;
}

function logSum(a: number, b: number, c: number): number {
  const top = Math.max(a, b, c);
  if (top === -Infinity) return top;
  return top + Math.log(Math.exp(a - top) + Math.exp(b - top) + Math.exp(c - top));
}

/** The loss of one row; writes its gradient. */
function paths(
  { table, offset, stride, classes }: Row,
  labels: ArrayLike<number>,
  time: number,
  { blank, zeroInfinity }: CtcAttributes,
  grad: Float32Array,
): number {
  const states = 2 * labels.length + 1;
  const label = (s: number): number => (s % 2 === 0 ? blank : labels[(s - 1) / 2]!);
  // A path may leave out the blank between two labels that differ.
  const skips = (s: number): boolean => s % 2 === 1 && s >= 3 && label(s) !== label(s - 2);
  const at = (t: number, s: number): number => table[offset + t * stride + label(s)]!;
  const alpha = Array.from({ length: time }, () => new Float64Array(states).fill(-Infinity));
  for (let t = 0; t < time; t++) {
    const [now, before] = [alpha[t]!, alpha[t - 1]];
    for (let s = 0; s < states; s++) {
      if (before === undefined) {
        if (s < 2) now[s] = at(t, s);
        continue;
      }
      const step = s > 0 ? before[s - 1]! : -Infinity;
      now[s] = logSum(before[s]!, step, skips(s) ? before[s - 2]! : -Infinity) + at(t, s);
    }
  }
  const last = alpha[time - 1];
  const end = (s: number): number => (s < 0 ? -Infinity : last![s]!);
  const whole =
    last === undefined
      ? labels.length === 0
        ? 0
        : -Infinity
      : logSum(end(states - 1), end(states - 2), -Infinity);
  const none = whole === -Infinity;
  let beta = new Float64Array(states).fill(-Infinity);
  for (let t = time - 1; t >= 0; t--) {
    const next = new Float64Array(states);
    for (let s = 0; s < states; s++) {
      if (t === time - 1) {
        next[s] = s >= states - 2 ? 0 : -Infinity;
        continue;
      }
      const from = (to: number): number => (to < states ? beta[to]! + at(t + 1, to) : -Infinity);
      next[s] = logSum(from(s), from(s + 1), s + 2 < states && skips(s + 2) ? from(s + 2) : -Infinity);
    }
    beta = next;
    const row = offset + t * stride;
    for (let c = 0; c < classes; c++) {
      grad[row + c] = none ? (zeroInfinity ? 0 : NaN) : Math.exp(table[row + c]!);
    }
    if (none) continue;
    for (let s = 0; s < states; s++) {
      const through = alpha[t]![s]! + beta[s]! - whole;
      if (through > -Infinity) grad[row + label(s)]! -= Math.exp(through);
    }
  }
  return none && zeroInfinity ? 0 : -whole;
}

const I = attr.type("int64");
const F = attr.type("float32");
const B = attr.type("bool");

/**
 * TensorFlow's own op, which takes scores before the softmax, has the blank as its last class, labels as a sparse
 * matrix, and refuses rows without labels or paths: those are given one label here, and their results replaced.
 */
class Graph {
  readonly #b: TfBuilder;
  readonly #steps: number;
  readonly #rows: number;
  readonly #classes: number;
  readonly #width: number;
  readonly #attributes: CtcAttributes;

  constructor(
    b: TfBuilder,
    steps: number,
    rows: number,
    classes: number,
    width: number,
    attributes: CtcAttributes,
  ) {
    this.#b = b;
    this.#steps = steps;
    this.#rows = rows;
    this.#classes = classes;
    this.#width = width;
    this.#attributes = attributes;
  }

  build([logs, given, times, lengths]: readonly TfRef[]): TfRef[] {
    const { blank, zeroInfinity } = this.#attributes;
    const width = Math.max(this.#width, 1);
    const targets = this.#width === 0 ? this.#integers([this.#rows, 1], () => 0) : given!;
    const column = (x: TfRef): TfRef => this.#shaped(x, [this.#rows, 1], I);
    const place = this.#b.constant(range(width), [1, width], "int64");
    const inside = this.#two("Less", place, column(lengths!), I);
    const empty = this.#equal(lengths!, this.#integer(0));
    const impossible = this.#two("Greater", this.#needed(targets, inside, lengths!, width), times!, I);
    const odd = this.#two("LogicalOr", empty, impossible);
    const first = this.#b.constant(
      range(width).map((i) => Number(i === 0)),
      [1, width],
      "bool",
    );
    const used = this.#select(this.#shaped(odd, [this.#rows, 1], B), first, inside, B);
    const other = this.#integer(blank === 0 && this.#classes > 1 ? 1 : 0);
    const labels = this.#select(this.#shaped(odd, [this.#rows, 1], B), other, targets, I);
    const kept = this.#b.nodes(
      "DynamicPartition",
      [labels, this.#cast(used, B, I)],
      { T: I, num_partitions: attr.int(2) },
      2,
    )[1]!;
    // The classes after the blank move down by one, and the blank to the end. No other labels have a place.
    const places = this.#b.constant(
      range(this.#classes).map((c) => (c > blank ? c - 1 : c === blank ? -1 : c)),
      [this.#classes],
      "int64",
    );
    const moved = gatherNode(this.#b, [places, kept], 0, "int64");
    const order = range(this.#classes).filter((c) => c !== blank);
    const [loss, slopes] = this.#b.nodes(
      "CTCLoss",
      [
        this.#gather(logs!, [...order, blank]),
        this.#b.node("Where", [used], { T: B }),
        moved,
        this.#two(
          "Maximum",
          this.#two("Minimum", times!, this.#integer(this.#steps), I),
          this.#integer(1),
          I,
        ),
      ],
      {
        T: F,
        preprocess_collapse_repeated: attr.bool(false),
        ctc_merge_repeated: attr.bool(true),
        ignore_longer_outputs_than_inputs: attr.bool(true),
      },
      2,
    ) as [TfRef, TfRef];
    const back = range(this.#classes).map((c) => (c === blank ? order.length : order.indexOf(c)));
    const time = this.#b.constant(range(this.#steps), [this.#steps, 1], "int64");
    const running = this.#two("Less", time, this.#shaped(times!, [1, this.#rows], I), I);

    const likely = this.#b.node("Exp", [logs!], { T: F });
    const scale = this.#logSums(logs!);
    const gap = this.#two("Sub", likely, this.#b.node("Softmax", [logs!], { T: F }), F);
    const general = this.#two("AddV2", gap, this.#gather(slopes, back), F);
    const total = this.#two("Sub", loss, this.#sum(this.#select(running, scale, this.#float(0), F)), F);

    const hot = this.#b.constant(
      range(this.#classes).map((c) => Number(c === blank)),
      [1, 1, this.#classes],
      "float32",
    );
    const silent = this.#shaped(this.#gather(logs!, [blank]), [this.#steps, this.#rows], F);
    const silence = this.#b.node("Neg", [this.#sum(this.#select(running, silent, this.#float(0), F))], {
      T: F,
    });
    const finite = this.#select(empty, silence, total, F);
    const none = this.#two("LogicalOr", impossible, this.#equal(finite, this.#float(Infinity), F));
    const slope = this.#select(
      this.#shaped(empty, [1, this.#rows, 1], B),
      this.#two("Sub", likely, hot, F),
      general,
      F,
    );
    const known = this.#select(
      this.#shaped(none, [1, this.#rows, 1], B),
      this.#float(zeroInfinity ? 0 : NaN),
      slope,
      F,
    );
    return [
      this.#select(none, this.#float(zeroInfinity ? 0 : Infinity), finite, F),
      this.#select(this.#shaped(running, [this.#steps, this.#rows, 1], B), known, this.#float(0), F),
    ];
  }

  /** Times that a target takes: one for each label, and one for the blank between two that are equal. */
  #needed(targets: TfRef, inside: TfRef, lengths: TfRef, width: number): TfRef {
    if (width < 2) return lengths;
    const part = (x: TfRef, from: number, type: TfAttribute): TfRef =>
      this.#b.node("Slice", [x, vector(this.#b, [0, from]), vector(this.#b, [this.#rows, width - 1])], {
        T: type,
        Index: I,
      });
    const same = this.#equal(part(targets, 1, I), part(targets, 0, I));
    const repeated = this.#cast(this.#two("LogicalAnd", same, part(inside, 1, B)), B, I);
    return this.#two("AddV2", lengths, reduceNode(this.#b, "Sum", repeated, [1], false, I), I);
  }

  /** ln Σ eˣ over the classes: [T, N]. */
  #logSums(logs: TfRef): TfRef {
    const over = (op: string, x: TfRef): TfRef => reduceNode(this.#b, op, x, [2], true);
    const top = over("Max", logs);
    const sums = over("Sum", this.#b.node("Exp", [this.#two("Sub", logs, top, F)], { T: F }));
    const total = this.#two("AddV2", this.#b.node("Log", [sums], { T: F }), top, F);
    return this.#shaped(total, [this.#steps, this.#rows], F);
  }

  /** Over time: [T, N] to [N]. */
  #sum(x: TfRef): TfRef {
    return reduceNode(this.#b, "Sum", x, [0]);
  }

  #gather(x: TfRef, classes: readonly number[]): TfRef {
    return gatherNode(this.#b, [x, vector(this.#b, classes)], 2, "float32");
  }

  #two(op: string, x: TfRef, y: TfRef, type?: TfAttribute): TfRef {
    return this.#b.node(op, [x, y], type === undefined ? {} : { T: type });
  }

  #equal(x: TfRef, y: TfRef, type = I): TfRef {
    return this.#b.node("Equal", [x, y], { T: type, incompatible_shape_error: attr.bool(true) });
  }

  #select(condition: TfRef, x: TfRef, y: TfRef, type: TfAttribute): TfRef {
    return this.#b.node("SelectV2", [condition, x, y], { T: type });
  }

  #shaped(x: TfRef, shape: readonly number[], type: TfAttribute): TfRef {
    return reshapeNode(this.#b, x, shape, type);
  }

  #cast(x: TfRef, from: TfAttribute, to: TfAttribute): TfRef {
    return this.#b.node("Cast", [x], { SrcT: from, DstT: to, Truncate: attr.bool(false) });
  }

  #integer(value: number): TfRef {
    return scalar(this.#b, value, "int64");
  }

  #float(value: number): TfRef {
    return scalar(this.#b, value, "float32");
  }

  #integers(shape: readonly number[], at: (i: number) => number): TfRef {
    return this.#b.constant(range(numel(shape)).map(at), shape, "int64");
  }
}
