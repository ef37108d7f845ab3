import { TensorError } from "../core/errors.ts";
import { Tensor } from "../core/tensor.ts";
import { fillValue, type Value } from "../recording/graph.ts";
import { SparseTensor } from "../sparse/sparseTensor.ts";

/**
 * A tensor of complex numbers, PyTorch's `complex64`: its real and its imaginary part are two float32 tensors, so gradients,
 * compiled steps and `vmap` work on it by themselves. Functions that have a complex form (forms.ts) take it; every other
 * function refuses it.
 */
export class ComplexTensor extends Tensor {
  /** @internal The real part. */
  readonly re: Tensor;
  /** @internal The imaginary part. */
  readonly im: Tensor;
  /** @internal PyTorch's name of its gradient, if that isn't the name of its parts' gradients. */
  gradName: string | undefined;

  /** @internal Users call `torch.complex`. */
  constructor(re: Tensor, im: Tensor, gradName?: string) {
    super(fillValue(0, re.shape, "complex64"));
    this.re = re;
    this.im = im;
    this.gradName = gradName;
  }

  override get requiresGrad(): boolean {
    return this.re.requiresGrad || this.im.requiresGrad;
  }

  override set requiresGrad(on: boolean) {
    this.requiresGrad_(on);
  }

  override get isLeaf(): boolean {
    return this.re.isLeaf && this.im.isLeaf;
  }

  override requiresGrad_(requiresGrad: boolean | { requiresGrad?: boolean } = true): this {
    this.re.requiresGrad_(requiresGrad);
    this.im.requiresGrad_(requiresGrad);
    return this;
  }

  /** ∂L/∂re + i ∂L/∂im, as PyTorch has it. */
  override get grad(): Tensor | null {
    return joined(this.re.grad, this.im.grad);
  }

  override set grad(next: Tensor | null) {
    if (next !== null && !(next instanceof ComplexTensor)) {
      throw new TensorError(
        "dtype",
        "assigned grad has data of a different type: expected a complex tensor, as torch.complex(real, imag) makes it",
      );
    }
    this.re.grad = next?.re ?? null;
    this.im.grad = next?.im ?? null;
  }

  override get ownGrad(): Tensor | null {
    return joined(this.re.ownGrad, this.im.ownGrad);
  }

  /** @internal @throws TensorError always: every function without a complex form reads it first */
  override get value(): Value {
    throw new TensorError(
      "unsupported",
      "this function does not exist for complex tensors",
      "compute with z.real and z.imag, or with the pairs of torch.viewAsReal(z)",
    );
  }

  /** @internal No value of its own. */
  override get still(): undefined {
    return undefined;
  }

  /** @internal Writes both parts. */
  override write(next: Tensor, ...rest: [made?: number, since?: number | null]): this {
    if (!(next instanceof ComplexTensor)) {
      this.re.write(next, ...rest);
      return this;
    }
    this.re.write(next.re, ...rest);
    this.im.write(next.im, ...rest);
    return this;
  }

  /** @throws TensorError always: a parameter, a buffer or an optimizer's state is one tensor */
  override persist(): this {
    throw new TensorError(
      "unsupported",
      "complex parameters and buffers are not supported",
      "keep real numbers of shape [..., 2], torch.viewAsReal(z), and compute with torch.viewAsComplex(this.weight)",
    );
  }
}

/** A gradient of parts of which one may have none: that counts as 0, as in PyTorch. */
export function joined(re: Tensor | null, im: Tensor | null): Tensor | null {
  if (re === null && im === null) return null;
  const zeros = (like: Tensor): Tensor => new Tensor(fillValue(0, like.shape, "float32"));
  return new ComplexTensor(re ?? zeros(im!), im ?? zeros(re!));
}

/** The tensors that hold a tensor's values: itself, unless it is complex or sparse. */
export function holdersOf(x: Tensor): readonly Tensor[] {
  if (x instanceof ComplexTensor) return [x.re, x.im];
  return x instanceof SparseTensor ? [x.places, x.stored] : [x];
}
