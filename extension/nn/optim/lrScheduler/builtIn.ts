import { bind, type Call, type Signature } from "../../arguments.ts";
import type { Optimizer } from "../optimizer.ts";
import { LRScheduler, ofOptimizer, type WithOptimizer } from "./base.ts";

type Options = { lastEpoch?: number };

/** A schedule of PyTorch's: see {@link builtIn}. */
export abstract class BuiltInSchedule extends LRScheduler {
  declare static readonly signature: object;

  constructor(...args: readonly unknown[]) {
    const [optimizer, ...rest] = ofOptimizer(args);
    super(optimizer, null);
    const { name, signature } = new.target;
    const { lastEpoch, ...options } = bind<Options>(name, rest, signature as Signature<Options>);
    Object.assign(this, options);
    this.prepare(lastEpoch);
    this.start(lastEpoch);
  }

  /** Checks the options before the initial step. */
  protected prepare(_lastEpoch: number): void {}
}

export interface ScheduleClass<P extends readonly unknown[], O, Names extends string> {
  new (optimizer: Optimizer, ...options: P): BuiltInSchedule;
  new (optimizer: Optimizer, ...options: Call<O, Names>): BuiltInSchedule;
  new (named: WithOptimizer<O>): BuiltInSchedule;
  /** @internal Defaults of all options, in PyTorch's order. */
  readonly signature: object;
}

/** The base class of a schedule whose fields are its options: `P` by position, all by name. */
export const builtIn = <
  P extends readonly unknown[],
  O extends Options,
  Names extends string,
>(): ScheduleClass<P, O, Names> => BuiltInSchedule as unknown as ScheduleClass<P, O, Names>;
