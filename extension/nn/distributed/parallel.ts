// PyTorch's torch.nn.parallel.
import { Tensor } from "../../tensor/core/tensor.ts";
import { fromHost } from "../../tensor/core/tensor.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import type { Communicator } from "../../tensor/distributed/communicator.ts";
import { copy_ } from "../../tensor/functions/creation/filling.ts";
import { allReduce } from "../../tensor/ops/distributed/collective.ts";
import { mul } from "../../tensor/ops/elementwise/elementwise.ts";
import { constant, zeros } from "../../tensor/ops/expressions.ts";
import { valuesOf } from "../../tensor/planning/barrier.ts";
import { applyAll, apply } from "../../tensor/recording/apply.ts";
import { afterBackward } from "../../tensor/recording/gradientHooks.ts";
import { hidden, noGrad } from "../../tensor/recording/scope.ts";
import { Module, type Given, type Result } from "../module/module.ts";
import { shared } from "./collectives.ts";
import { ExchangeKeys } from "./exchangeKeys.ts";
import { defaultGroup } from "./processGroup.ts";

export { DataParallel } from "../modules/dataParallel.ts";

/**
 * A module whose gradients are averaged over all processes of the group: each trains on its own samples, and all have the same
 * weights. The gradients of one `backward()` are one exchange, which is part of the compiled step. Averages are equal
 * for all processes: give each as many samples.
 *
 * Weights and buffers are those of rank 0 at first. Statistics of batch norm are each process's own, unless
 * {@link SyncBatchNorm} is used. Code that only some processes run must not read what depends on gradients before their step.
 *
 * - paths of parameters begin with `module.`
 *
 * ```ts
 * await distributed.initProcessGroup({ initMethod: "tcp://127.0.0.1:29500", rank: 0, worldSize: 1 });
 * const model = new nn.parallel.DistributedDataParallel(new nn.Linear(4, 2));
 * distributed.destroyProcessGroup();
 * model(torch.randn(3, 4)).shape; // [3, 2]
 * ```
 * @throws TensorError "DistributedDataParallel is not needed when a module doesn't have any parameters that require a gradient."
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.parallel.DistributedDataParallel.html
 */
export class DistributedDataParallel<M extends Module = Module> extends Module {
  readonly module: M;
  readonly #group: Communicator;
  readonly #parameters: readonly Tensor[];
  readonly #keys: ExchangeKeys;
  #syncs = true;

  constructor(module: M) {
    super();
    const group = defaultGroup();
    this.module = module;
    this.#group = group;
    this.#parameters = module.parameters().filter((p) => p.requiresGrad);
    if (this.#parameters.length === 0)
      throw new TensorError(
        "value",
        "DistributedDataParallel is not needed when a module doesn't have any parameters that require a gradient.",
      );
    this.#keys = new ExchangeKeys(group);
    if (group.size === 1) return;
    for (const tensor of [...module.parameters(), ...module.buffers()]) adopt(group, tensor);
    const own = new Set(this.#parameters);
    afterBackward(this, (self, leaves) => {
      for (const leaf of leaves) if (own.has(leaf)) return self.average();
    });
  }

  forward(...input: Given<M>): Result<M> {
    return this.module(...input);
  }

  /**
   * Runs `body`, in which `backward()` leaves gradients as they are: they are averaged, together, with those of the next one
   * outside. Accumulate gradients so, without an exchange for each.
   */
  noSync<T>(body: () => T): T {
    const before = this.#syncs;
    this.#syncs = false;
    try {
      return body();
    } finally {
      this.#syncs = before;
    }
  }

  /** Replaces the gradients by their averages. */
  private average(): void {
    if (!this.#syncs) return;
    const key = this.#keys.next();
    const { size, timeout } = this.#group;
    noGrad(() =>
      hidden(() => {
        const gradients = this.#parameters.map(({ ownGrad, shape }) => ownGrad ?? zeros([...shape]));
        const scaled = gradients.map((grad) => apply(mul, [grad, constant(1 / size)], {}));
        const averages = applyAll(allReduce, scaled, { size, key, timeout });
        this.#parameters.forEach((p, i) => {
          const average = averages[i]!;
          if (p.ownGrad === null) p.grad = new Tensor(average.value);
          else p.ownGrad.write(average);
        });
      }),
    );
  }
}

/** Gives a tensor the values that it has in process 0. */
function adopt(group: Communicator, tensor: Tensor): void {
  const own = valuesOf(tensor.value);
  const { dtype } = tensor;
  const words = own instanceof Float32Array || own instanceof Int32Array ? own : Int32Array.from(own);
  const given = shared(group, words, 0);
  noGrad(() =>
    copy_(tensor, fromHost(dtype === "bool" ? Uint8Array.from(given) : given, [...tensor.shape], dtype)),
  );
}
