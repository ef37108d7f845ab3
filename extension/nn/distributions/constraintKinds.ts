// Kinds of regions in which parameters and values lie.
import "../../tensor/methods.ts";
import type { HostArray } from "../../tensor/core/dtype.ts";
import { composed } from "../../tensor/functions/pointwise/operands.ts";
import { sameShape, type Shape } from "../../tensor/core/shape.ts";
import { Tensor } from "../../tensor/core/tensor.ts";
import { formatted, knownValues } from "./helpers.ts";

/** A region; `check` says of each event whether it lies in it. */
export abstract class Constraint {
  /** Number of trailing dimensions that make up an event. */
  readonly eventDim: number = 0;
  readonly isDiscrete: boolean = false;
  private readonly text: string | (() => string);

  /** @param text PyTorch's text; a function where values would have to be read for it */
  constructor(text: string | (() => string)) {
    this.text = text;
  }

  /** Whether each event lies in the region, as a bool tensor. */
  abstract check(value: Tensor): Tensor;

  /** @internal Whether known values lie in the region; undefined where that takes more than a look at each of them. */
  holds(_values: HostArray, _shape: Shape): boolean | undefined {
    return undefined;
  }

  toString(): string {
    return typeof this.text === "string" ? this.text : this.text();
  }
}

/** A bound that is a number, or a number for each place. */
export type Bound = number | Tensor;

export const bound = (x: Bound): string => (typeof x === "number" ? String(x) : formatted(x));

/** Whether a number lies between bounds. */
type Test = (x: number, bounds: readonly number[]) => boolean;

/** A region of single numbers, perhaps between bounds. */
export class Elementwise extends Constraint {
  override readonly isDiscrete: boolean;
  private readonly region: (x: Tensor) => Tensor;
  private readonly test: Test;
  private readonly bounds: readonly Bound[];

  /** @param test the same for one number */
  constructor(
    text: string | (() => string),
    region: (x: Tensor) => Tensor,
    test: Test,
    { bounds = [], isDiscrete = false }: { bounds?: readonly Bound[]; isDiscrete?: boolean } = {},
  ) {
    super(text);
    this.region = region;
    this.test = test;
    this.bounds = bounds;
    this.isDiscrete = isDiscrete;
  }

  check(value: Tensor): Tensor {
    return composed(() => this.region(value));
  }

  override holds(values: HostArray, shape: Shape): boolean | undefined {
    const known: HostArray[] = [];
    for (const each of this.bounds) {
      const array = knownValues(each);
      if (array === undefined || !(each instanceof Tensor ? fits(each, array, shape) : true))
        return undefined;
      known.push(array);
    }
    const { test } = this;
    const bounds = known.map((array) => array[0]!);
    for (let i = 0; i < values.length; i++) {
      for (let k = 0; k < known.length; k++) {
        const array = known[k]!;
        if (array.length > 1) bounds[k] = array[i % array.length]!;
      }
      if (!test(values[i]!, bounds)) return false;
    }
    return true;
  }
}

/** Whether known bounds repeat along values of a shape: the last dimensions are theirs. */
function fits({ shape }: Tensor, known: HostArray, of: Shape): boolean {
  return known.length === 1 || sameShape(of.slice(Math.max(0, of.length - shape.length)), shape);
}

/** A region of vectors. */
export class Vectors extends Constraint {
  override readonly eventDim = 1;
  override readonly isDiscrete: boolean;
  private readonly region: (x: Tensor) => Tensor;
  private readonly test: (row: HostArray) => boolean;

  constructor(
    text: string,
    region: (x: Tensor) => Tensor,
    test: (row: HostArray) => boolean,
    isDiscrete = false,
  ) {
    super(text);
    this.region = region;
    this.test = test;
    this.isDiscrete = isDiscrete;
  }

  check(value: Tensor): Tensor {
    return composed(() => this.region(value));
  }

  override holds(values: HostArray, shape: Shape): boolean {
    const width = shape[shape.length - 1]!;
    for (let at = 0; at < values.length; at += width) {
      if (!this.test(values.subarray(at, at + width))) return false;
    }
    return true;
  }
}

/** A region of matrices. */
export class Matrices extends Constraint {
  override readonly eventDim = 2;
  private readonly region: (x: Tensor) => Tensor;
  private readonly test: ((matrix: HostArray, columns: number) => boolean) | undefined;

  /** @param test the same for one matrix, where that takes only a look at each element */
  constructor(
    text: string,
    region: (x: Tensor) => Tensor,
    test?: (matrix: HostArray, columns: number) => boolean,
  ) {
    super(text);
    this.region = region;
    this.test = test;
  }

  check(value: Tensor): Tensor {
    return composed(() => this.region(value));
  }

  override holds(values: HostArray, shape: Shape): boolean | undefined {
    const { test } = this;
    if (test === undefined || shape.length < 2) return undefined;
    const [rows, columns] = shape.slice(-2) as [number, number];
    for (let at = 0; at < values.length; at += rows * columns) {
      if (!test(values.subarray(at, at + rows * columns), columns)) return false;
    }
    return true;
  }
}

export class Independent extends Constraint {
  override readonly eventDim: number;
  override readonly isDiscrete: boolean;
  private readonly base: Constraint;
  private readonly dims: number;

  constructor(base: Constraint, dims: number) {
    super(() => `IndependentConstraint(${base.toString()}, ${dims})`);
    this.base = base;
    this.dims = dims;
    this.eventDim = base.eventDim + dims;
    this.isDiscrete = base.isDiscrete;
  }

  check(value: Tensor): Tensor {
    return composed(() => {
      const each = this.base.check(value);
      return each.reshape([...each.shape.slice(0, each.ndim - this.dims), -1]).all(-1);
    });
  }

  override holds(values: HostArray, shape: Shape): boolean | undefined {
    return this.base.holds(values, shape);
  }
}

export class Mixture extends Constraint {
  override readonly eventDim: number;
  override readonly isDiscrete: boolean;
  private readonly base: Constraint;

  constructor(base: Constraint) {
    super(() => `MixtureSameFamilyConstraint(${base.toString()})`);
    this.base = base;
    this.eventDim = base.eventDim;
    this.isDiscrete = base.isDiscrete;
  }

  check(value: Tensor): Tensor {
    return composed(() => {
      const each = this.base.check(value.unsqueeze(-1 - this.eventDim));
      return each.reshape([...each.shape.slice(0, value.ndim - this.eventDim), -1]).all(-1);
    });
  }

  override holds(values: HostArray, shape: Shape): boolean | undefined {
    return this.base.holds(values, shape);
  }
}

/** Regions of the parts of a tensor along one dimension. */
export class Parts extends Constraint {
  override readonly eventDim: number;
  override readonly isDiscrete: boolean;
  private readonly split: (x: Tensor) => Tensor[];
  private readonly join: (parts: readonly Tensor[]) => Tensor;
  private readonly regions: readonly Constraint[];

  constructor(
    text: string,
    regions: readonly Constraint[],
    split: (x: Tensor) => Tensor[],
    join: (parts: readonly Tensor[]) => Tensor,
    eventDim = Math.max(...regions.map((region) => region.eventDim)),
  ) {
    super(text);
    this.regions = regions;
    this.split = split;
    this.join = join;
    this.eventDim = eventDim;
    this.isDiscrete = regions.some((region) => region.isDiscrete);
  }

  check(value: Tensor): Tensor {
    return composed(() => this.join(this.split(value).map((part, i) => this.regions[i]!.check(part))));
  }
}
