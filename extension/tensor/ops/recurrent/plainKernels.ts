import { matrixLayout, multiply, type PlainRule } from "../../planning/plain.ts";
import type { Meta, Op, Signature } from "../../recording/op.ts";
import { numel } from "../../core/shape.ts";
import { TensorFlowKernels, tfjsKernels, unrolled, type Kernels } from "./kernels.ts";

/** A matrix of floats somewhere in an array; a vector is one row. */
interface Matrix {
  readonly data: Float32Array;
  readonly at: number;
  readonly rows: number;
  readonly columns: number;
}

/** Memory of a kernel: every call needs the same arrays one after the other. */
class Scratch {
  readonly #arrays: Float32Array[] = [];
  #next = 0;

  reset(): void {
    this.#next = 0;
  }

  take(rows: number, columns: number): Matrix {
    const at = this.#next++;
    const size = rows * columns;
    let data = this.#arrays[at];
    if (data?.length !== size) this.#arrays[at] = data = new Float32Array(size);
    return { data, at: 0, rows, columns };
  }
}

/** The kernels of recurrent cells as loops. */
function plainKernels(scratch: Scratch): Kernels<Matrix> {
  const like = ({ rows, columns }: Matrix): Matrix => scratch.take(rows, columns);
  const stack = (parts: readonly Matrix[]): Matrix => {
    if (parts.length === 1) return parts[0]!;
    const z = scratch.take(
      parts.reduce((n, { rows }) => n + rows, 0),
      parts[0]!.columns,
    );
    let to = 0;
    for (const { data, at, rows, columns } of parts) {
      const size = rows * columns;
      for (let i = 0; i < size; i++) z.data[to + i] = data[at + i]!;
      to += size;
    }
    return z;
  };
  const rows = ({ data, at, columns }: Matrix, from: number, to: number): Matrix => ({
    data,
    at: at + from * columns,
    rows: to - from,
    columns,
  });
  const kernels: Kernels<Matrix> = {
    add(x, y) {
      const z = like(x);
      const [a, b, c] = [x.data, y.data, z.data];
      // A vector is added to every row.
      const turn = y.rows * y.columns;
      for (let i = 0, j = 0; i < c.length; i++) {
        c[i] = a[x.at + i]! + b[y.at + j]!;
        if (++j === turn) j = 0;
      }
      return z;
    },
    sub(x, y) {
      const z = like(x);
      const [a, b, c] = [x.data, y.data, z.data];
      for (let i = 0; i < c.length; i++) c[i] = a[x.at + i]! - b[y.at + i]!;
      return z;
    },
    mul(x, y) {
      const z = like(x);
      const [a, b, c] = [x.data, y.data, z.data];
      for (let i = 0; i < c.length; i++) c[i] = a[x.at + i]! * b[y.at + i]!;
      return z;
    },
    sigmoid(x) {
      const z = like(x);
      const [a, c] = [x.data, z.data];
      for (let i = 0; i < c.length; i++) c[i] = 1 / (1 + Math.exp(-a[x.at + i]!));
      return z;
    },
    tanh(x) {
      const z = like(x);
      const [a, c] = [x.data, z.data];
      for (let i = 0; i < c.length; i++) c[i] = Math.tanh(a[x.at + i]!);
      return z;
    },
    relu(x) {
      const z = like(x);
      const [a, c] = [x.data, z.data];
      for (let i = 0; i < c.length; i++) c[i] = a[x.at + i]! < 0 ? 0 : a[x.at + i]!;
      return z;
    },
    sigmoidGrad(y, g) {
      const z = like(y);
      const [a, b, c] = [y.data, g.data, z.data];
      for (let i = 0; i < c.length; i++) c[i] = b[g.at + i]! * a[y.at + i]! * (1 - a[y.at + i]!);
      return z;
    },
    tanhGrad(y, g) {
      const z = like(y);
      const [a, b, c] = [y.data, g.data, z.data];
      for (let i = 0; i < c.length; i++) c[i] = b[g.at + i]! * (1 - a[y.at + i]! * a[y.at + i]!);
      return z;
    },
    reluGrad(y, g) {
      const z = like(y);
      const [a, b, c] = [y.data, g.data, z.data];
      for (let i = 0; i < c.length; i++) c[i] = a[y.at + i]! > 0 ? b[g.at + i]! : 0;
      return z;
    },
    matmul(x, y, transposeX = false, transposeY = false) {
      const [m, k] = transposeX ? [x.columns, x.rows] : [x.rows, x.columns];
      const n = transposeY ? y.rows : y.columns;
      const z = scratch.take(m, n);
      multiply(
        x.data,
        matrixLayout(x.columns, transposeX, x.at),
        y.data,
        matrixLayout(y.columns, transposeY, y.at),
        z.data,
        0,
        [m, k, n],
      );
      return z;
    },
    transpose(x) {
      const z = scratch.take(x.columns, x.rows);
      for (let i = 0, from = x.at; i < x.rows; i++)
        for (let j = 0; j < x.columns; j++) z.data[j * x.rows + i] = x.data[from++]!;
      return z;
    },
    columns(x, widths) {
      if (widths.length === 1) return [x];
      let first = 0;
      return widths.map((width) => {
        const z = scratch.take(x.rows, width);
        for (let i = 0, to = 0; i < x.rows; i++) {
          const from = x.at + i * x.columns + first;
          for (let j = 0; j < width; j++) z.data[to++] = x.data[from + j]!;
        }
        first += width;
        return z;
      });
    },
    join(parts) {
      if (parts.length === 1) return parts[0]!;
      const total = parts.reduce((n, { columns }) => n + columns, 0);
      const z = scratch.take(parts[0]!.rows, total);
      let first = 0;
      for (const { data, at, rows, columns } of parts) {
        for (let i = 0, from = at; i < rows; i++) {
          const to = i * total + first;
          for (let j = 0; j < columns; j++) z.data[to + j] = data[from++]!;
        }
        first += columns;
      }
      return z;
    },
    rows,
    stack,
    sumRows(x) {
      const z = scratch.take(1, x.columns);
      for (let j = 0; j < x.columns; j++) {
        let sum = 0;
        for (let i = 0, from = x.at + j; i < x.rows; i++, from += x.columns) sum += x.data[from]!;
        z.data[j] = sum;
      }
      return z;
    },
    loop: (loop, step) =>
      unrolled(
        loop,
        (x) => Array.from({ length: loop.steps }, (_, i) => rows(x, i * loop.batch, (i + 1) * loop.batch)),
        stack,
        (...args) => step(kernels, ...args),
      ),
  };
  return kernels;
}

function matrix(data: Float32Array, { shape }: Meta): Matrix {
  const columns = shape[shape.length - 1]!;
  return { data, at: 0, rows: numel(shape) / Math.max(columns, 1), columns };
}

/** One pass over sequences, written once for all kernels. */
export type Pass<A> = <R>(k: Kernels<R>, inputs: readonly R[], attributes: A, signature: Signature) => R[];

/** The loop of a pass. */
const loopOf =
  <A extends object>(pass: Pass<A>): PlainRule<A> =>
  (signature, attributes) => {
    const scratch = new Scratch();
    const kernels = plainKernels(scratch);
    return (inputs, outputs) => {
      scratch.reset();
      const given = inputs.map((data, i) => matrix(data as Float32Array, signature.inputs[i]!));
      pass(kernels, given, attributes, signature).forEach(({ data, at }, i) => {
        const to = outputs[i]!;
        for (let j = 0; j < to.length; j++) to[j] = data[at + j]!;
      });
    };
  };

/** The part of an op's record that runs a pass over sequences. */
export const running = <A extends object>(pass: Pass<A>): Pick<Op<A>, "tensorflow" | "tfjs" | "plain"> => ({
  tensorflow: (b, ...rest) => pass(new TensorFlowKernels(b), ...rest),
  tfjs: (k, ...rest) => pass(tfjsKernels(k), ...rest),
  plain: loopOf(pass),
});
