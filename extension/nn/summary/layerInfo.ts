import { BYTES, type DType } from "../../tensor/core/dtype.ts";
import type { Meta } from "../../tensor/recording/op.ts";
import { numel, type Shape } from "../../tensor/core/shape.ts";
import { Tensor, type Parameter } from "../../tensor/core/tensor.ts";
import type { Module } from "../module/module.ts";
import { PackedSequence } from "../packedSequence.ts";

/** Where a module stands in the tree of modules. */
export interface Place {
  readonly module: Module;
  /** Name of the parent's property; the class's for the model itself. */
  readonly varName: string;
  readonly depth: number;
  readonly parent: Place | undefined;
}

/** One of a module's parameters, by its path inside the module. */
export interface Weight {
  readonly name: string;
  readonly shape: Shape;
  readonly numel: number;
  readonly trainable: boolean;
}

/** Facts about a module that don't depend on its calls. */
export class ModuleFacts {
  readonly weights: readonly Weight[];
  readonly numParams: number;
  readonly trainableParams: number;
  readonly paramBytes: number;
  readonly isLeaf: boolean;
  /** Whether it has parameters outside its children. */
  readonly ownsParams: boolean;
  readonly kernelSize: number | readonly number[] | undefined;

  constructor(module: Module, isTrainable: (parameter: Parameter) => boolean) {
    const parameters = module.namedParameters();
    this.weights = parameters.map(([name, one]) => ({
      name,
      shape: one.shape,
      numel: one.numel(),
      trainable: isTrainable(one),
    }));
    this.numParams = sum(parameters, ([, one]) => one.numel());
    this.trainableParams = sum(this.weights, ({ trainable, numel: count }) => (trainable ? count : 0));
    this.paramBytes = sum(parameters, ([, one]) => one.numel() * BYTES[one.dtype]);
    this.isLeaf = module.children().length === 0;
    this.ownsParams = module.parameters(false).length > 0;
    const kernel: unknown = Reflect.get(module, "kernelSize");
    if (typeof kernel === "number" || (Array.isArray(kernel) && kernel.every((k) => typeof k === "number")))
      this.kernelSize = kernel;
  }
}

/** One call of a module, a row of the summary; also a container that was not called, but whose children were. */
export class LayerInfo {
  readonly place: Place;
  readonly #factsOf: (module: Module) => ModuleFacts;
  /** Whether this is not the module's first call. */
  readonly isRecursive: boolean;
  /** Whether `forward` came to its end. */
  executed = false;
  /** The shape that represents the input; empty without one. */
  inputSize: Shape = [];
  outputSize: Shape = [];
  outputBytes = 0;
  /** All tensors that went in and came out. */
  inputs: readonly Meta[] = [];
  outputs: readonly Meta[] = [];
  /** Multiply-adds of the module itself, without those of modules that it calls. */
  ownMultAdds = 0;
  /** Number among the rows of the same depth, from 1. */
  depthIndex = 0;
  /** All rows below this one. */
  children: readonly LayerInfo[] = [];

  /** @param factsOf Returns a module's facts; called after all calls, since a step may freeze and thaw parameters */
  constructor(place: Place, factsOf: (module: Module) => ModuleFacts, isRecursive: boolean) {
    this.place = place;
    this.#factsOf = factsOf;
    this.isRecursive = isRecursive;
  }

  get facts(): ModuleFacts {
    return this.#factsOf(this.module);
  }

  get module(): Module {
    return this.place.module;
  }

  get className(): string {
    return this.module.constructor.name;
  }

  get depth(): number {
    return this.place.depth;
  }

  /** Multiply-adds of this call and all below it. */
  get multAdds(): number {
    return this.ownMultAdds + sum(this.children, (child) => child.ownMultAdds);
  }

  /**
   * Multiply-adds as torchinfo counts them: every parameter once for each sample, in a convolution also for each place.
   * Steps of a sequence are missing for all layers but recurrent ones; products of activations, as in attention, for
   * all.
   */
  get torchinfoMultAdds(): number {
    if (!this.executed) return 0;
    const [batch = 1, second = 1, ...rest] = this.outputSize;
    const places = this.className.includes("Conv") ? numel(rest) : 1;
    return sum(this.facts.weights, ({ name, numel: count }) => {
      if (name === "weight" || name === "bias") return count * batch * places;
      return name.includes("weight") || name.includes("bias") ? count * batch * second : 0;
    });
  }

  begins(input: readonly unknown[], batchDim: number | undefined): void {
    this.inputSize = sizeOf(input, batchDim).shape;
    this.inputs = tensorsIn(input);
  }

  ends(output: unknown, batchDim: number | undefined): void {
    const { shape, dtype } = sizeOf(output, batchDim);
    this.outputSize = shape;
    this.outputBytes = dtype === undefined ? 0 : numel(shape) * BYTES[dtype];
    this.outputs = tensorsIn(output);
    this.executed = true;
  }

  /** Parameters that no row below has. */
  leftoverParams(): number {
    return this.#leftover((facts) => facts.numParams);
  }

  leftoverTrainableParams(): number {
    return this.#leftover((facts) => facts.trainableParams);
  }

  #leftover(count: (facts: ModuleFacts) => number): number {
    return (
      count(this.facts) -
      sum(this.children, (child) => {
        if (child.isRecursive) return 0;
        return child.facts.isLeaf ? count(child.facts) : child.#leftover(count);
      })
    );
  }
}

interface Size {
  shape: Shape;
  dtype: DType | undefined;
}

/**
 * Returns the shape that represents a module's input or output: that of its first tensor; of an object's last one,
 * since that is its newest. For lists, the size along `batchDim` is 1.
 */
function sizeOf(value: unknown, batchDim: number | undefined): Size {
  const size = nestedSize(value);
  if (batchDim === undefined || !Array.isArray(value) || batchDim >= size.shape.length) return size;
  return { ...size, shape: size.shape.with(batchDim, 1) };
}

function nestedSize(value: unknown): Size {
  if (value instanceof Tensor) return { shape: value.shape, dtype: value.dtype };
  if (Array.isArray(value)) return nestedSize(value[0]);
  if (typeof value !== "object" || value === null) return { shape: [], dtype: undefined };
  if (value instanceof PackedSequence) return nestedSize(value.data);
  return nestedSize(Object.values(value).findLast((member) => member !== undefined && member !== null));
}

/** All tensors in a function's arguments or result. */
export function tensorsIn(value: unknown): Meta[] {
  if (value instanceof Tensor) return [{ shape: value.shape, dtype: value.dtype }];
  if (Array.isArray(value)) return value.flatMap(tensorsIn);
  if (value instanceof PackedSequence) return tensorsIn(value.data);
  const plain =
    typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
  return plain ? Object.values(value).flatMap(tensorsIn) : [];
}

/** Bytes of tensors. */
export const bytesOf = (tensors: readonly Meta[]): number =>
  sum(tensors, ({ shape, dtype }) => numel(shape) * BYTES[dtype]);

export function sum<T>(items: readonly T[], of: (item: T) => number): number {
  let total = 0;
  for (const item of items) total += of(item);
  return total;
}
