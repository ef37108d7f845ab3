// Parameters and buffers whose shape is unknown until a lazy module's first call.
import { TensorError } from "../../tensor/core/errors.ts";
import { setData } from "../../tensor/functions/creation/data.ts";
import { fillValue, type Value } from "../../tensor/recording/graph.ts";
import type { Shape } from "../../tensor/core/shape.ts";
import { Parameter, Tensor } from "../../tensor/core/tensor.ts";

const empty = (): Tensor => new Tensor(fillValue(0, [0], "float32"));

function noShape(): never {
  throw new TensorError(
    "value",
    "Can't access the shape of an uninitialized parameter or buffer. This error usually happens in `load_state_dict` when trying to load an uninitialized parameter into an initialized one. Call `forward` to initialize the parameters before accessing their attributes.",
  );
}

function noValue(name: string): never {
  throw new TensorError(
    "value",
    `Attempted to use an uninitialized parameter. This error happens when you are using a \`LazyModule\` or explicitly manipulating \`torch.nn.parameter.${name}\` objects. When using LazyModules Call \`forward\` with a dummy batch to initialize the parameters before calling torch functions`,
  );
}

/**
 * A parameter whose shape is unknown: a lazy module has it until its first call, which turns the same object into a
 * {@link Parameter}. An optimizer can be made before that.
 *
 * @throws TensorError when its shape or value is read: "Attempted to use an uninitialized parameter…"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.parameter.UninitializedParameter.html
 */
export class UninitializedParameter extends Parameter {
  constructor(requiresGrad = true) {
    super(empty(), requiresGrad);
  }

  /** Turns this object into a parameter of the given shape. */
  materialize(shape: Shape): void {
    become(this, Parameter.prototype, shape);
  }

  override get shape(): Shape {
    return noShape();
  }

  override get value(): Value {
    return noValue("UninitializedParameter");
  }
}

/**
 * A buffer whose shape is unknown: see {@link UninitializedParameter}.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.parameter.UninitializedBuffer.html
 */
export class UninitializedBuffer extends Tensor {
  constructor() {
    super(empty().value);
    this.persist();
  }

  /** Turns this object into a tensor of the given shape. */
  materialize(shape: Shape): void {
    become(this, Tensor.prototype, shape);
  }

  override get shape(): Shape {
    return noShape();
  }

  override get value(): Value {
    return noValue("UninitializedBuffer");
  }
}

function become(tensor: Tensor, prototype: Tensor, shape: Shape): void {
  Object.setPrototypeOf(tensor, prototype);
  setData(tensor, new Tensor(fillValue(0, shape, "float32")));
}

for (const { name, prototype } of [UninitializedParameter, UninitializedBuffer])
  for (const text of ["toString", Symbol.toPrimitive, Symbol.for("nodejs.util.inspect.custom")])
    Object.defineProperty(prototype, text, { value: () => `<${name}>` });

/** Whether a tensor waits for its shape. */
export const isLazy = (x: unknown): x is UninitializedParameter | UninitializedBuffer =>
  x instanceof UninitializedParameter || x instanceof UninitializedBuffer;
