// Optimizers and schedules of the cases.
import type { Optimizer } from "../../extension/nn/optim/optimizer.ts";
import type { Tensor } from "../../extension/tensor/core/tensor.ts";
import type { Json } from "./format.ts";
import { camelCase, construct, keywords } from "./names.ts";

export interface OptimizerSpec {
  type: string;
  kwargs?: Record<string, Json>;
}

export interface SchedulerSpec {
  type: string;
  kwargs?: Record<string, Json>;
  /** Factors by epoch, of LambdaLR and MultiplicativeLR. */
  table?: number[];
  schedulers?: SchedulerSpec[];
  milestones?: number[];
}

/** A schedule as the cases use it. */
export interface Scheduler {
  step(metric?: number): void;
}

/** Parameters, or groups of them with options. */
export type ParamsArgument =
  | readonly Tensor[]
  | readonly ({ params: readonly Tensor[] } & Record<string, unknown>)[];

export function makeOptimizer(params: ParamsArgument, { type, kwargs }: OptimizerSpec): Optimizer {
  return construct("torch.optim", type, [params], keywords(kwargs)) as Optimizer;
}

/** Options of a group by our names. */
export function groupOptions(options: Record<string, Json>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(keywords(options)).map(([name, value]) => [camelCase(name), value]),
  );
}

export function makeScheduler(optimizer: Optimizer, spec: SchedulerSpec): Scheduler {
  const make = (args: readonly unknown[], kwargs: Record<string, unknown>): Scheduler =>
    construct("torch.optim.lr_scheduler", spec.type, args, kwargs) as Scheduler;
  const { table, schedulers } = spec;
  const kwargs = keywords(spec.kwargs);
  if (table !== undefined)
    return make([optimizer], { lr_lambda: (epoch: number) => table[epoch], ...kwargs });
  if (schedulers === undefined) return make([optimizer], kwargs);
  const parts = schedulers.map((part) => makeScheduler(optimizer, part));
  if (spec.type === "ChainedScheduler") return make([parts], kwargs);
  return make([optimizer, parts], { milestones: spec.milestones, ...kwargs });
}
