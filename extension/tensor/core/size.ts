// PyTorch's torch.Size: a shape that prints as PyTorch prints it.
import { TensorError } from "./errors.ts";
import { formatSize, numel, sameShape, type Shape } from "./shape.ts";

/** The sizes of a tensor's dimensions: an array of numbers, as text `torch.Size([2, 3])`; `size[-1]` is the last of them. */
export interface Size extends ReadonlyArray<number> {
  /** Number of elements of a tensor of this size. */
  numel(): number;
  /** `torch.Size([2, 3])`. */
  toString(): string;
}

/** The last sizes by a hash of their numbers: making one takes longer than finding it. */
const recent: (Size | undefined)[] = Array.from({ length: 4096 }, () => undefined);

/** Dimensions that are counted from the end by a negative index. As many for all sizes, so that all have one shape for the engine of JavaScript. */
const COUNTED_FROM_END = 8;

// Properties of the array itself: a class of its own would make every `map` and spread of a shape slow.
const METHODS: PropertyDescriptorMap = {
  numel: {
    value(this: Shape): number {
      return numel(this);
    },
  },
  toString: {
    value(this: Shape): string {
      return formatSize(this);
    },
  },
};

/** Whether a list of numbers is a size. */
export const isSize = (shape: readonly unknown[]): shape is Size =>
  (shape as Partial<Size>).numel !== undefined;

/** @internal The size of these numbers. */
export function sizeOf(shape: Shape): Size {
  let hash = shape.length;
  for (let i = 0; i < shape.length; i++) hash = (Math.imul(hash, 31) + shape[i]!) | 0;
  const at = (hash ^ (hash >>> 12)) & 4095;
  const found = recent[at];
  if (found !== undefined && sameShape(found, shape)) return found;
  const made = Object.defineProperties([...shape], METHODS);
  // As in Python: x.shape[-1].
  for (let d = 1; d <= COUNTED_FROM_END; d++)
    Object.defineProperty(made, -d, { value: shape[shape.length - d] });
  return (recent[at] = made as unknown as Size);
}

/**
 * A size of given numbers: `torch.Size([2, 3])`.
 * @throws TensorError "torch.Size() takes an iterable of 'int' (item 0 is 'float')"
 */
export function Size(sizes: Iterable<number> = []): Size {
  const list = [...sizes];
  const wrong = list.findIndex((n) => !Number.isInteger(n));
  if (wrong >= 0) {
    const type = typeof list[wrong] === "number" ? "float" : typeof list[wrong];
    throw new TensorError("value", `torch.Size() takes an iterable of 'int' (item ${wrong} is '${type}')`);
  }
  return sizeOf(list);
}
