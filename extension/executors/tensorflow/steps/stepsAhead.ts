import type { NativeBinding } from "../../../native/binding.ts";
import type { HostArray } from "../../../tensor/core/dtype.ts";
import { internal } from "../../../tensor/core/errors.ts";
import type { Plan } from "../../../tensor/planning/barrier.ts";
import { sameInputs } from "./foresight.ts";
import type { Input } from "../feeding.ts";
import type { Program, Residences } from "../program.ts";

/** Steps that are computed one by one after some were computed ahead in vain: more each time. */
const LEAST_REST = 8;
const MOST_REST = 65_536;

/** What becomes of the values that the steps of a call fetch: those of all steps one after the other. */
export interface Results {
  fetched: readonly HostArray[] | undefined;
  /** Why there are none. */
  refused?: Error;
}

/** Where the values of a step are. */
export interface Place {
  readonly results: Results;
  /** The step's place among those of its call. */
  readonly step: number;
}

/** What the steps of a call are fed, by step. */
export type Steps = readonly (readonly Input[])[];

/** Steps that were computed in one call before they were asked for, as the inputs to come were known. */
interface Computed {
  readonly inputs: Steps;
  readonly results: Results;
  /** How many of them were asked for. */
  asked: number;
  /** The variables as they were before the first one. */
  readonly before: readonly number[];
}

/** The last steps of a plan that were computed before they were asked for, and how many are to be. */
export class StepsAhead {
  private readonly binding: NativeBinding;
  private readonly plan: Plan;
  private readonly most: number;
  private computed: Computed | undefined;
  /** Steps that are computed ahead at most: as many as were wanted the last time, or twice as many if that were all. */
  private window: number;
  /** Steps to be computed one by one, because those ahead were computed in vain; and how many the next time. */
  private rest = 0;
  private restNext = LEAST_REST;

  /** @param most steps in one call at most */
  constructor(binding: NativeBinding, plan: Plan, most: number) {
    this.binding = binding;
    this.plan = plan;
    this.most = most;
    this.window = most;
  }

  /** Where the values of the next step are, if it was computed with just these inputs. */
  take(inputs: readonly Input[]): Place | undefined {
    const known = this.computed;
    if (known === undefined || known.asked === known.inputs.length) return undefined;
    if (!sameInputs(known.inputs[known.asked]!, inputs)) return undefined;
    if (known.asked + 1 === known.inputs.length) {
      this.window = Math.min(2 * known.inputs.length, this.most);
      this.restNext = LEAST_REST;
    }
    return { results: known.results, step: known.asked++ };
  }

  /** How many steps the next call is to compute at most. */
  many(): number {
    return this.rest > 0 && this.rest-- > 0 ? 1 : this.window;
  }

  /**
   * Keeps what a call has computed, of which the first step is the one that was asked for.
   * @param before the variables as they were before; from now on they are this one's to delete
   */
  put(inputs: Steps, before: readonly number[], fetched: readonly HostArray[]): Place {
    const results: Results = { fetched };
    this.computed = { inputs, results, asked: 1, before };
    return { results, step: 0 };
  }

  /** Whatever was computed ahead of the steps that were asked for is undone. */
  settle(loop: Program, residences: Residences): void {
    const { computed } = this;
    if (computed === undefined || computed.asked === computed.inputs.length) return;
    const { inputs, asked, before } = computed;
    this.window = Math.max(asked, 2);
    if (asked < 2) this.inVain();
    this.computed = { ...computed, inputs: inputs.slice(0, asked) };
    this.replay(loop, before, this.computed.inputs, residences);
  }

  /** Tensors of the lazy values of the last step that was asked for, none being ahead; the caller's to delete. */
  lazy(loop: Program, step: Program, residences: Residences): number[] {
    const { inputs, before } = this.computed ?? internal("lazy values of a step that is over");
    this.replay(loop, before, inputs.slice(0, -1), residences);
    const then = loop.values();
    step.restore(then);
    this.drop(then);
    const values = step.lazy(this.plan, inputs.at(-1)!, residences);
    this.replay(loop, before, inputs, residences);
    return values;
  }

  /** Steps were computed for nothing: the next ones are computed one by one for a while. */
  inVain(): void {
    this.rest = this.restNext;
    this.restNext = Math.min(2 * this.restNext, MOST_REST);
  }

  /** Nothing of the last steps will be asked for any more. */
  forget(): void {
    this.drop(this.computed?.before ?? []);
    this.computed = undefined;
  }

  drop(tensors: readonly number[]): void {
    for (const id of tensors) this.binding.deleteTensor(id);
  }

  /**
   * Has the variables go once more from what they were through steps. A weight that the user has replaced meanwhile is
   * not among the storages that live here any more, and comes in with the next step.
   */
  private replay(loop: Program, before: readonly number[], inputs: Steps, residences: Residences): void {
    loop.restore(before);
    if (inputs.length > 0) loop.again(this.plan, inputs, residences);
  }
}
