import { TensorError } from "../tensor/core/errors.ts";
import type { Node } from "../tensor/recording/graph.ts";
import { OPS, type AnyOp } from "../tensor/recording/op.ts";

function outOfRange(op: AnyOp | undefined, index: string, size: number): TensorError {
  return new TensorError(
    "index",
    op?.outOfRange ?? `index ${index} is out of bounds for dimension with size ${size}`,
  );
}

function refusedBy(op: AnyOp | undefined, text: string): TensorError {
  return op?.refusal?.() ?? new TensorError("value", text);
}

/** A node as errors name it. */
export type Refusing = Pick<Node, "op" | "module" | "site">;

/** Notes which node has refused its inputs. */
export function refusedAt<T>(error: T, { op, module, site }: Refusing): T {
  if (!(error instanceof TensorError)) return error;
  error.late = true;
  error.op ??= op.name;
  if (module !== "") error.module ??= module;
  if (site !== undefined && error.sites.length === 0) error.sites = [site];
  return error;
}

/** The backends' messages about the user's values, in PyTorch's words. */
const MESSAGES: readonly [RegExp, (m: RegExpMatchArray, op: AnyOp | undefined) => TensorError][] = [
  [
    /Received a label value of (-?\d+) which is outside the valid range/,
    (m) => new TensorError("index", `Target ${m[1]} is out of bounds.`),
  ],
  [/indices\[[\d,]*\] = (-?\d+) is not in \[0, (\d+)\)/, (m, op) => outOfRange(op, m[1]!, Number(m[2]))],
  [/the index value (-?\d+) is not in \[0, (-?\d+)\]/, (m, op) => outOfRange(op, m[1]!, Number(m[2]) + 1)],
  [
    /segment_ids\[[\d, ]*\] = (\d+) is out of range \[0, (\d+)\)/,
    // Negative places come without their sign: see indexAdd.
    (m, op) => outOfRange(op, String((Number(m[1]) << 1) >> 1), Number(m[2])),
  ],
  [
    /= \[(?:\d+, ?)*(-?\d+)\] does not index into shape \[(?:\d+, ?)*(\d+)\]/,
    (m, op) => outOfRange(op, m[1]!, Number(m[2])),
  ],
  // Only TensorFlow's kernel refuses blanks among the targets.
  [
    /All labels must be nonnegative integers/,
    () => new TensorError("unsupported", "ctc_loss: targets hold the blank, or a class that isn't there"),
  ],
  [/is not invertible|cholesky : Tensor had/, (m, op) => refusedBy(op, m[0])],
  [/Integer division by zero/, () => new TensorError("value", "ZeroDivisionError")],
  [
    /Broadcast between .* is not supported yet|is not implemented for tensors of rank > 8/,
    (_, op) =>
      new TensorError("unsupported", `${op?.name ?? "TensorFlow"}: tensors have up to 8 dimensions here`),
  ],
  [
    /OOM when allocating tensor with shape\s*(\[[\d,]*\])/,
    (m) => new TensorError("value", `not enough memory for a tensor of size ${m[1]}`),
  ],
];

/**
 * Returns PyTorch's error if `error` is about the user's values; else `error` itself.
 * @param op the op that was running; a compiled graph's errors name it themselves
 */
export function translated(error: unknown, op?: AnyOp): unknown {
  if (error instanceof TensorError) error.late = true;
  if (!(error instanceof Error) || error instanceof TensorError) return error;
  for (const [pattern, make] of MESSAGES) {
    const match = error.message.match(pattern);
    if (match === null) continue;
    const known = op ?? named(error.message);
    const made = make(match, known);
    if (known !== undefined) made.op = known.name;
    return Object.assign(made, { cause: error, late: true });
  }
  return error;
}

/** The op whose node a message quotes: "[[{{node embedding/GatherV2}}]]". */
const named = (message: string): AnyOp | undefined => OPS.get(message.match(/\{\{node (\w+)\//)?.[1] ?? "");

/** Runs a node's kernels; an error about the user's values is worded as that op's. */
export function naming<T>(node: Refusing, body: () => T): T {
  try {
    return body();
  } catch (error) {
    throw errorOf(node, error);
  }
}

/**
 * Returns the error that {@link naming} throws in place of `error`.
 * @param explain returns a more precise error, where the values can be read
 */
export function errorOf(node: Refusing, error: unknown, explain?: () => TensorError | undefined): unknown {
  const known = translated(error, node.op);
  return refusedAt((known instanceof TensorError ? explain?.() : undefined) ?? known, node);
}
