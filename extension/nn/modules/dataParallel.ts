import { bind, REQUIRED, type Arguments } from "../arguments.ts";
import { Module, type Given, type Result } from "../module/module.ts";

interface DataParallelOptions {
  /** Accepted, without effect: there is one device. */
  deviceIds?: readonly unknown[] | null;
  /** Accepted, without effect. */
  outputDevice?: unknown;
  /** Accepted, without effect. */
  dim?: number;
}

/**
 * A module that runs another one: batches are divided among GPUs in PyTorch, and here, as on a machine without any, computed
 * as a whole.
 *
 * - paths of parameters begin with `module.`
 *
 * ```ts
 * const model = new nn.DataParallel(new nn.Linear(4, 2));
 * model(torch.randn(3, 4)).shape; // [3, 2]
 * [...model.stateDict().keys()]; // ["module.weight", "module.bias"]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.DataParallel.html
 */
export class DataParallel<M extends Module = Module> extends Module {
  readonly module: M;
  /** The devices in use: none. */
  readonly deviceIds: readonly unknown[] = [];

  constructor(...args: Arguments<DataParallelOptions & { module: M }, "module deviceIds outputDevice dim">) {
    super();
    this.module = bind<DataParallelOptions & { module: M }>("DataParallel", args, {
      module: REQUIRED,
      deviceIds: null,
      outputDevice: null,
      dim: 0,
    }).module;
  }

  forward(...input: Given<M>): Result<M> {
    return this.module(...input);
  }
}
