// Exchanges of tensors: each function computes its tensor, waits for the other processes, and writes the result in place.
import { TensorError } from "../../tensor/core/errors.ts";
import type { HostArray } from "../../tensor/core/dtype.ts";
import { fromHost, type Tensor } from "../../tensor/core/tensor.ts";
import type { Communicator } from "../../tensor/distributed/communicator.ts";
import { copy_ } from "../../tensor/functions/creation/filling.ts";
import { valuesOf } from "../../tensor/planning/barrier.ts";
import { noGrad } from "../../tensor/recording/scope.ts";
import { defaultGroup } from "./processGroup.ts";

/**
 * How {@link allReduce} combines the tensors of all processes.
 * @see https://docs.pytorch.org/docs/stable/distributed.html#torch.distributed.ReduceOp
 */
export const ReduceOp = { SUM: "SUM", AVG: "AVG", PRODUCT: "PRODUCT", MIN: "MIN", MAX: "MAX" } as const;
export type ReduceOp = (typeof ReduceOp)[keyof typeof ReduceOp];

const COMBINE: Readonly<Record<"PRODUCT" | "MIN" | "MAX", (a: number, b: number) => number>> = {
  PRODUCT: (a, b) => a * b,
  MIN: Math.min,
  MAX: Math.max,
};

/** Values that a group can exchange: floats, or 32-bit integers. */
function exchangeable(tensor: Tensor): Float32Array | Int32Array {
  const values = valuesOf(tensor.value);
  if (values instanceof Float32Array || values instanceof Int32Array) return values;
  return Int32Array.from(values);
}

function write(tensor: Tensor, values: HostArray): void {
  const { dtype } = tensor;
  const own = dtype === "bool" ? Uint8Array.from(values) : values;
  noGrad(() => copy_(tensor, fromHost(own, [...tensor.shape], dtype)));
}

/**
 * Replaces the tensor, in place, by the sum (or another combination) of the tensors of all processes. All of them end up with
 * the same bits.
 *
 * ```ts
 * const loss = torch.tensor([1.5]);
 * await distributed.initProcessGroup({ initMethod: "tcp://127.0.0.1:29500", rank: 0, worldSize: 1 });
 * distributed.allReduce(loss);
 * distributed.destroyProcessGroup();
 * loss.item(); // 1.5
 * ```
 * @see https://docs.pytorch.org/docs/stable/distributed.html#torch.distributed.all_reduce
 */
export function allReduce(tensor: Tensor, op: ReduceOp | { op?: ReduceOp } = ReduceOp.SUM): void {
  const group = defaultGroup();
  const how = typeof op === "string" ? op : (op.op ?? ReduceOp.SUM);
  if (!(how in ReduceOp)) throw new TensorError("value", `Invalid ReduceOp: ${how as string}`);
  if (how === "AVG" && tensor.dtype !== "float32")
    throw new TensorError("dtype", "ReduceOp.AVG is only supported for floating point tensors");
  write(tensor, combined(group, exchangeable(tensor), how));
}

function combined(group: Communicator, own: Float32Array | Int32Array, how: ReduceOp): HostArray {
  if (how === "SUM") return group.sum(own);
  if (how === "AVG") return group.sum(own).map((x: number) => x / group.size);
  const all = group.gather(own);
  const combine = COMBINE[how];
  return own.map((_: number, i: number) => {
    let result = all[i]!;
    for (let rank = 1; rank < group.size; rank++) result = combine(result, all[rank * own.length + i]!);
    return result;
  });
}

/**
 * Replaces the tensor, in place, by that of process `src`, bit for bit.
 * @throws TensorError for a `src` that the group doesn't have
 * @see https://docs.pytorch.org/docs/stable/distributed.html#torch.distributed.broadcast
 */
export function broadcast(tensor: Tensor, src: number | { src: number }): void {
  const group = defaultGroup();
  const from = typeof src === "number" ? src : src.src;
  if (!Number.isInteger(from) || from < 0 || from >= group.size)
    throw new TensorError("value", `Global rank ${from} is not part of group`);
  write(tensor, shared(group, exchangeable(tensor), from));
}

/** The values of process `from`: the sum of its bits and of zeros elsewhere. */
export function shared<T extends Float32Array | Int32Array>(group: Communicator, own: T, from: number): T {
  const bits = new Int32Array(own.length);
  if (group.rank === from) bits.set(new Int32Array(own.buffer, own.byteOffset, own.length));
  const { buffer } = group.sum(bits);
  return (own instanceof Float32Array ? new Float32Array(buffer) : new Int32Array(buffer)) as T;
}

/**
 * Writes the tensor of each process into those of a list, in the order of their ranks. All must have the same shape.
 * @throws TensorError for a list of another length
 * @see https://docs.pytorch.org/docs/stable/distributed.html#torch.distributed.all_gather
 */
export function allGather(tensorList: readonly Tensor[], tensor: Tensor): void {
  const group = defaultGroup();
  if (tensorList.length !== group.size)
    throw new TensorError(
      "value",
      `ProcessGroupGloo::allgather: invalid output tensor list at index 0 (expected length ${group.size}, got ${tensorList.length})`,
    );
  const own = exchangeable(tensor);
  const all = group.gather(own);
  tensorList.forEach((one, rank) => write(one, all.slice(rank * own.length, (rank + 1) * own.length)));
}

/**
 * Waits until all processes have called this function.
 * @see https://docs.pytorch.org/docs/stable/distributed.html#torch.distributed.barrier
 */
export function barrier(): void {
  defaultGroup().sum(Int32Array.of(0));
}
