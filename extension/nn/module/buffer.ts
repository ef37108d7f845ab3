import { Tensor } from "../../tensor/core/tensor.ts";

/**
 * A tensor that becomes a buffer of the module that it is assigned to: part of its state, but not learned.
 *
 * ```ts
 * class Counter extends nn.Module {
 *   count = new nn.Buffer(torch.zeros(1));
 * }
 * ```
 *
 * A tensor that is assigned in its place later is the buffer from then on. It is saved in the state dict unless `persistent` is
 * false.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.parameter.Buffer.html
 */
export class Buffer extends Tensor {
  readonly persistent: boolean;

  constructor(data: Tensor, options: { persistent?: boolean } = {}) {
    super(data.value);
    this.persistent = options.persistent ?? true;
    this.persist();
    if (data.requiresGrad) this.requiresGrad_();
  }
}
