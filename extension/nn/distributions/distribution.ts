import "../../tensor/methods.ts";
import type { HostArray } from "../../tensor/core/dtype.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import { composed, type Operand } from "../../tensor/functions/pointwise/operands.ts";
import type { Value } from "../../tensor/recording/graph.ts";
import { guard, hasExecutor } from "../../tensor/planning/barrier.ts";
import { noGrad, withGradients } from "../../tensor/recording/scope.ts";
import { sizeOf, type Size } from "../../tensor/core/size.ts";
import { formatSize, sameShape, type Shape } from "../../tensor/core/shape.ts";
import { Parameter, Tensor } from "../../tensor/core/tensor.ts";
import { py, snakeCase } from "../module/repr.ts";
import type { Constraint } from "./constraints.ts";
import { formatted, knownValues, spread, type SampleShape } from "./helpers.ts";

/**
 * A probability distribution: PyTorch's `torch.distributions.Distribution`, the base of all others.
 *
 * Arguments are checked unless `validateArgs` is false: shapes at once, values as soon as they are known. Numbers and
 * data are known at once. Computed values are checked when `sample()` reads them (Categorical, Bernoulli, Beta and
 * others whose draws depend on their parameters), or when a sample or score is read: nothing is computed for a check
 * alone. A loss that is made of scores is not checked: it is NaN.
 *
 * @see https://docs.pytorch.org/docs/stable/distributions.html
 */
export abstract class Distribution {
  private static checks = true;

  /** Switches the checks of all distributions created from now on. */
  static setDefaultValidateArgs(value: boolean): void {
    Distribution.checks = value;
  }

  /** Shape of the parameters: of as many independent distributions. */
  readonly batchShape: Size;
  /** Shape of one value. */
  readonly eventShape: Size;
  /** Whether samples have gradients by the parameters. */
  readonly hasRsample: boolean = false;
  /** Whether all values can be listed. */
  readonly hasEnumerateSupport: boolean = false;
  protected readonly validates: boolean;
  /** Values that are computed from the parameters at their first use. */
  protected cache: Record<string, Tensor> = {};

  constructor(
    batchShape: Shape = [],
    eventShape: Shape = [],
    options: { validateArgs?: boolean | null | undefined } = {},
  ) {
    this.batchShape = sizeOf(batchShape);
    this.eventShape = sizeOf(eventShape);
    this.validates = options.validateArgs ?? Distribution.checks;
  }

  /** Constraints of the parameters, by their names. */
  get argConstraints(): Readonly<Record<string, Constraint>> {
    return {};
  }

  /** Constraint of the values. */
  get support(): Constraint {
    return this.missing("support");
  }

  get mean(): Tensor {
    return this.missing("mean");
  }

  /** The most likely value. */
  get mode(): Tensor {
    return this.missing("mode");
  }

  get variance(): Tensor {
    return this.missing("variance");
  }

  /** The standard deviation. */
  get stddev(): Tensor {
    return composed(() => this.variance.sqrt());
  }

  /** Values of shape `sampleShape` + batchShape + eventShape, without gradients. */
  sample(sampleShape: SampleShape = []): Tensor {
    return noGrad(() => this.rsample(sampleShape));
  }

  /** Values of shape `sampleShape` + batchShape + eventShape, with gradients by the parameters. */
  rsample(_sampleShape: SampleShape = []): Tensor {
    return this.missing("rsample");
  }

  /**
   * The log of the density or probability of values that broadcast with batchShape + eventShape.
   * @throws TensorError "Value is not broadcastable with batch_shape+event_shape: torch.Size([2]) vs torch.Size([3])."
   */
  logProb(_value: Tensor): Tensor {
    return this.missing("log_prob");
  }

  /** The probability of at most a value. */
  cdf(_value: Tensor): Tensor {
    return this.missing("cdf");
  }

  /** The value below which a probability lies. */
  icdf(_value: Tensor): Tensor {
    return this.missing("icdf");
  }

  /** The entropy of each distribution, of shape batchShape. */
  entropy(): Tensor {
    return this.missing("entropy");
  }

  /** e to the entropy. */
  perplexity(): Tensor {
    return composed(() => this.entropy().exp());
  }

  /** All values, along a new first dimension. */
  enumerateSupport(_expand: boolean | { expand?: boolean } = true): Tensor {
    return this.missing("enumerate_support");
  }

  /** The same distribution with parameters expanded to another batch shape. */
  expand(batchShape: Shape): this {
    const lead = this.batchShape.length;
    const own = this as unknown as Record<string, unknown>;
    const expanded: Record<string, Tensor> = {};
    for (const name of Object.keys(this.argConstraints)) {
      const x = own[name];
      if (Object.hasOwn(this, name) && x instanceof Tensor)
        expanded[name] = spread(x, [...batchShape, ...x.shape.slice(lead)]);
    }
    return this.with({ batchShape, ...expanded });
  }

  /** PyTorch's text, `Normal(loc: 0.0, scale: 1.0)`, of the parameters that are there. Reads those of one element. */
  toString(): string {
    const own = this as unknown as Record<string, unknown>;
    const texts: string[] = [];
    for (const name of Object.keys(this.argConstraints)) {
      const x = Object.hasOwn(this, name) ? own[name] : this.cache[name];
      if (x instanceof Tensor) texts.push(`${snakeCase(name)}: ${parameterText(x)}`);
    }
    return `${this.constructor.name}(${texts.join(", ")})`;
  }

  /** Text that console.log shows in Node. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return this.toString();
  }

  /** A copy with other fields. */
  protected with(fields: { batchShape?: Shape; [name: string]: unknown }): this {
    const changed = fields.batchShape ? { ...fields, batchShape: sizeOf(fields.batchShape) } : fields;
    return Object.create(Object.getPrototypeOf(this) as object, {
      ...Object.getOwnPropertyDescriptors(this),
      ...Object.getOwnPropertyDescriptors({ cache: {}, ...changed }),
    }) as this;
  }

  /** Shape of a sample. */
  protected extended(sampleShape: SampleShape = []): Shape {
    const sizes = sampleSizes(sampleShape);
    return [...sizes, ...this.batchShape, ...this.eventShape];
  }

  /** A value that is computed from the parameters when it is first asked for. */
  protected cached(name: string, compute: () => Tensor): Tensor {
    return composed(() => (this.cache[name] ??= withGradients(true, compute)));
  }

  /** Scores a value after checking it. */
  protected scored(value: Tensor, score: (value: Tensor) => Tensor): Tensor {
    return this.guarded(() => {
      if (this.validates) this.validateSample(value);
      return score(value);
    });
  }

  /** A result that is refused when it is read, if a parameter that was computed for it turns out to be invalid. */
  protected guarded(body: () => Tensor): Tensor {
    const result = composed(body);
    if (!this.validates || !hasExecutor()) return result;
    const own = this as unknown as Record<string, unknown>;
    const inputs: Value[] = [];
    for (const name of Object.keys(this.argConstraints)) {
      const x = this.isGiven(name) ? own[name] : undefined;
      if (x instanceof Tensor && x.value.data === undefined && x.value.producer.kind === "node") {
        inputs.push(x.value);
      }
    }
    if (inputs.length > 0) guard(result.value, { inputs, check: () => this.validateParameters() });
    return result;
  }

  /** Parameters that are no fields, but are computed from those of another distribution. */
  protected get derived(): readonly string[] {
    return [];
  }

  private isGiven(name: string): boolean {
    return Object.hasOwn(this, name) || this.derived.includes(name);
  }

  protected missing(what: string): never {
    const name = this.constructor.name;
    throw new TensorError("unsupported", `${name} does not implement ${what}`);
  }

  /**
   * @internal Checks parameters whose values are there: those given, and all others of `argConstraints` but those that are computed
   * from others.
   * @throws TensorError "Expected parameter scale (Tensor of shape (1,)) of distribution Normal(…) to satisfy …"
   */
  validateParameters(given: Readonly<Record<string, Operand | HostArray | null>> = {}): void {
    if (!this.validates) return;
    const own = this as unknown as Record<string, unknown>;
    for (const [name, constraint] of Object.entries(this.argConstraints)) {
      const x = this.isGiven(name) ? own[name] : undefined;
      if (!(x instanceof Tensor)) continue;
      const source = given[name] ?? x;
      const values = ArrayBuffer.isView(source) ? source : knownValues(source);
      if (values === undefined || satisfies(constraint, values, x)) continue;
      const type = x instanceof Parameter ? "Parameter" : "Tensor";
      throw new TensorError(
        "value",
        `Expected parameter ${snakeCase(name)} (${type} of shape ${py(x.shape)}) of distribution ${this.toString()} ` +
          `to satisfy the constraint ${constraint.toString()}, but found invalid values:\n${formatted(x)}`,
      );
    }
  }

  /** @internal Checks a value to be scored. */
  validateSample(value: Tensor): void {
    if (!(value instanceof Tensor)) {
      throw new TensorError("value", "The value argument to log_prob must be a Tensor");
    }
    const { shape } = value;
    const { eventShape } = this;
    if (!sameShape(shape.slice(Math.max(0, shape.length - eventShape.length)), eventShape)) {
      throw new TensorError(
        "shape",
        `The right-most size of value must match event_shape: ${formatSize(shape)} vs ${formatSize(eventShape)}.`,
      );
    }
    const expected = [...this.batchShape, ...eventShape];
    for (let i = 1; i <= Math.min(shape.length, expected.length); i++) {
      const [a, b] = [shape[shape.length - i]!, expected[expected.length - i]!];
      if (a === 1 || b === 1 || a === b) continue;
      throw new TensorError(
        "shape",
        `Value is not broadcastable with batch_shape+event_shape: ${formatSize(shape)} vs ${formatSize(expected)}.`,
      );
    }
    const values = knownValues(value);
    if (values === undefined || satisfies(this.support, values, value)) return;
    throw new TensorError(
      "value",
      `Expected value argument (${value instanceof Parameter ? "Parameter" : "Tensor"} of shape ${py(shape)}) to be ` +
        `within the support (${this.support.toString()}) of the distribution ${this.toString()}, but found invalid ` +
        `values:\n${formatted(value)}`,
    );
  }
}

/** Whether known values of a tensor satisfy a constraint; true where the answer would need computing. */
function satisfies(constraint: Constraint, values: HostArray, { shape }: Tensor): boolean {
  // One number that stands for all elements.
  const width = constraint.eventDim > 0 ? (shape[shape.length - 1] ?? 1) : 1;
  if (values.length % width !== 0) return true;
  return constraint.holds(values, shape) ?? true;
}

/** The sizes of a sample, given by position or by name. */
export function sampleSizes(sampleShape: SampleShape): Shape {
  return Array.isArray(sampleShape)
    ? (sampleShape as Shape)
    : ((sampleShape as { sampleShape?: Shape }).sampleShape ?? []);
}

/** One element as Python's format prints it, or the size. */
const parameterText = (x: Tensor): string => (x.numel() === 1 ? formatted(x) : formatSize(x.shape));
