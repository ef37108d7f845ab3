// Transforms made of transforms.
import { TensorError } from "../../tensor/core/errors.ts";
import { fromHost, type Tensor } from "../../tensor/core/tensor.ts";
import { multinomial, randperm } from "../../tensor/functions/creation/random.ts";
import { valuesOf } from "../../tensor/planning/barrier.ts";
import { bind, REQUIRED, type Call } from "../arguments.ts";
import { BuiltIn } from "../module/module.ts";
import { pyFloat } from "../module/repr.ts";
import { drawChance } from "./image.ts";

/** Something that is done to a sample. */
export type Transform<In = Tensor, Out = unknown> = (input: In) => Out;

type Transforms = readonly Transform<never>[];

const run = (transforms: Transforms, input: Tensor): Tensor =>
  transforms.reduce<unknown>((value, one) => one(value as never), input) as Tensor;

function listed(name: string, lines: readonly string[], transforms: Transforms): string {
  const all = [
    ...lines,
    ...transforms.map((one) => (one instanceof BuiltIn ? one.toString() : one.name || "function")),
  ];
  return `${name}(${all.map((line) => `\n    ${line}`).join("")}\n)`;
}

/**
 * Several transforms, one after the other:
 *
 * ```ts
 * new transforms.Compose([new transforms.RandomHorizontalFlip(), new transforms.Normalize([0.5], [0.5])])
 * ```
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.Compose.html
 */
export class Compose extends BuiltIn {
  readonly transforms: Transforms;

  constructor(transforms: Transforms) {
    super();
    this.transforms = transforms;
  }

  forward(input: Tensor): Tensor {
    return run(this.transforms, input);
  }

  override toString(): string {
    return listed("Compose", [], this.transforms);
  }
}

interface RandomApplyArguments {
  transforms: Transforms;
  p?: number;
}

/**
 * Several transforms, one after the other, all of them with probability p: one draw of `torch.rand(1)` decides.
 *
 * ```ts
 * new transforms.RandomApply([new transforms.GaussianBlur(3)], { p: 0.3 })(torch.rand(3, 8, 8)).shape; // [3, 8, 8]
 * ```
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.RandomApply.html
 */
export class RandomApply extends BuiltIn {
  readonly transforms: Transforms;
  readonly p: number;

  /** @param p probability; 0.5 by default */
  constructor(transforms: Transforms, p?: number);
  constructor(...args: Call<RandomApplyArguments, "transforms p">);
  constructor(...args: unknown[]) {
    super();
    const bound = bind<RandomApplyArguments>("RandomApply", args, { transforms: REQUIRED, p: 0.5 });
    this.transforms = bound.transforms;
    this.p = bound.p;
  }

  forward(input: Tensor): Tensor {
    return drawChance(this.p, true) ? run(this.transforms, input) : input;
  }

  override toString(): string {
    return listed("RandomApply", [`p=${pyFloat(this.p)}`], this.transforms);
  }
}

/**
 * Several transforms in a random order. The order is `torch.randperm(n)`, as in `torchvision.transforms.v2`: the older
 * class draws from Python's `random`, whose numbers differ.
 *
 * ```ts
 * new transforms.RandomOrder([new transforms.RandomInvert(), new transforms.GaussianBlur(3)]);
 * ```
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.RandomOrder.html
 */
export class RandomOrder extends BuiltIn {
  readonly transforms: Transforms;

  constructor(transforms: Transforms) {
    super();
    this.transforms = transforms;
  }

  forward(input: Tensor): Tensor {
    const order = valuesOf(randperm(this.transforms.length).value);
    return run(
      Array.from(order, (i) => this.transforms[i]!),
      input,
    );
  }

  override toString(): string {
    return listed("RandomOrder", [], this.transforms);
  }
}

interface RandomChoiceArguments {
  transforms: Transforms;
  p?: readonly number[] | null;
}

/**
 * One of several transforms. It is drawn by `torch.multinomial(p, 1)`, as in `torchvision.transforms.v2`: the older class
 * draws from Python's `random`, whose numbers differ.
 *
 * ```ts
 * new transforms.RandomChoice([new transforms.RandomInvert(1), new transforms.GaussianBlur(3)], { p: [0.8, 0.2] });
 * ```
 * @throws TensorError "Length of p doesn't match the number of transforms: 1 != 2"
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.RandomChoice.html
 */
export class RandomChoice extends BuiltIn {
  readonly transforms: Transforms;
  readonly p: readonly number[] | null;

  /** @param p weight of each transform; equal by default */
  constructor(transforms: Transforms, p?: readonly number[] | null);
  constructor(...args: Call<RandomChoiceArguments, "transforms p">);
  constructor(...args: unknown[]) {
    super();
    const { transforms, p } = bind<RandomChoiceArguments>("RandomChoice", args, {
      transforms: REQUIRED,
      p: null,
    });
    if (p !== null && p.length !== transforms.length)
      throw new TensorError(
        "value",
        `Length of p doesn't match the number of transforms: ${p.length} != ${transforms.length}`,
      );
    this.transforms = transforms;
    this.p = p;
  }

  forward(input: Tensor): Tensor {
    const weights = this.p ?? this.transforms.map(() => 1);
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    const shares = Float32Array.from(weights, (weight) => weight / total);
    const drawn = multinomial(fromHost(shares, [shares.length], "float32"), 1);
    return run([this.transforms[valuesOf(drawn.value)[0]!]!], input);
  }

  override toString(): string {
    const p = this.p === null ? "None" : `[${this.p.map(pyFloat).join(", ")}]`;
    return `${listed("RandomChoice", [], this.transforms)}(p=${p})`;
  }
}

/** A function of your own as a transform: `new transforms.Lambda((x) => x.mul(2))`. */
export class Lambda<In = Tensor, Out = Tensor> extends BuiltIn {
  readonly lambd: Transform<In, Out>;

  constructor(lambd: Transform<In, Out>) {
    super();
    if (typeof lambd !== "function")
      throw new TensorError("value", `Argument lambd should be callable, got ${typeof lambd}`);
    this.lambd = lambd;
  }

  forward(input: In): Out {
    return this.lambd(input);
  }
}
