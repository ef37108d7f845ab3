import type { NativeBinding } from "../../native/binding.ts";
import type { HostArray } from "../../tensor/dtype.ts";
import { internal } from "../../tensor/errors.ts";
import type { Plan } from "../../tensor/runtime.ts";
import { Blueprint } from "./blueprint.ts";
import { writeLoop, writeStep } from "./graphWriter.ts";
import { Program, type Residences } from "./program.ts";

/** How long one call may take, in ms: between two calls a run can be paused or stopped. */
const CALL = 25;
/** Steps in one call at most. */
const MOST_STEPS = 100;
/** Single steps before the time of one is believed. */
const TRIALS = 4;

/** A step that waits for its call. */
interface Waiting {
  readonly plan: Plan;
  readonly inputs: readonly (HostArray | null)[];
}

/**
 * A plan seen before, compiled: one program for a single step and, where steps may wait for each other, one that loops
 * over many.
 */
export class CompiledPlan {
  private readonly binding: NativeBinding;
  /** Leaves whose number changed from call to call: fed instead of constant. */
  private readonly promoted: ReadonlySet<number>;
  private readonly blueprint: Blueprint;
  private readonly step: Program;
  private loop: Program | undefined;
  private loopable = true;
  /** How many leaves the loop takes from step to step. */
  private loopStacks = 0;
  /** Leaves that differ from step to step. */
  private readonly stacked = new Set<number>();
  private last: readonly (HostArray | null)[] | undefined;
  private readonly waiting: Waiting[] = [];
  private trials = 0;
  /** Whether the next call is the first of a program. */
  private fresh = true;
  /** Time of a step, in ms. */
  private cost = Infinity;

  constructor(binding: NativeBinding, blueprint: Blueprint, promoted: ReadonlySet<number>) {
    this.binding = binding;
    this.promoted = promoted;
    this.blueprint = blueprint;
    this.step = new Program(binding, writeStep(this.blueprint, promoted));
  }

  /** Whether the plan's constants are not the compiled ones. */
  outdated(plan: Plan): boolean {
    return this.step.mismatch(plan) !== undefined;
  }

  /**
   * What to use instead for a plan whose constants are not the compiled ones: numbers that change between calls become
   * inputs. Undefined when nothing has changed; otherwise this one is closed.
   */
  replacement(plan: Plan): CompiledPlan | undefined {
    const changed = this.step.mismatch(plan);
    if (changed === undefined) return undefined;
    if (this.waiting.length > 0) internal("a plan is replaced while steps of it wait");
    this.close();
    return new CompiledPlan(this.binding, this.blueprint, new Set([...this.promoted, ...changed]));
  }

  /** Steps that wait to be computed. */
  get pending(): number {
    return this.waiting.length;
  }

  /** One step, now. Answers the tensors of the plan's lazy values. */
  run(plan: Plan, residences: Residences): number[] {
    const inputs = this.step.inputs(plan);
    this.note(inputs);
    return this.timed(1, () => this.step.run(plan, inputs, residences));
  }

  /**
   * Lets a step wait for others, so that one call computes them all.
   * @returns false when that isn't worth it: the step has to be run
   */
  defer(plan: Plan, residences: Residences): boolean {
    if (!this.loopable || this.trials < TRIALS || this.depth < 2) return false;
    const inputs = this.step.inputs(plan);
    this.note(inputs);
    if (this.loop !== undefined && this.loopStacks < this.stacked.size) {
      // An input that was the same in all steps is another now.
      this.flush(residences);
      this.releaseLoop();
    }
    if (this.loop === undefined) {
      const graph = writeLoop(this.blueprint, this.promoted, this.stacked);
      if (graph === undefined) {
        this.loopable = false;
        return false;
      }
      this.loop = new Program(this.binding, graph);
      this.loopStacks = this.stacked.size;
      this.fresh = true;
    }
    // The storages have to be somewhere: from here on they are the program's.
    this.loop.enter(residences);
    this.waiting.push({ plan, inputs });
    if (this.waiting.length >= this.depth) this.flush(residences);
    return true;
  }

  /** Computes what waits. */
  flush(residences: Residences): void {
    if (this.waiting.length === 0) return;
    const steps = this.waiting.splice(0);
    const plans = steps.map((s) => s.plan);
    const inputs = steps.map((s) => s.inputs);
    this.timed(steps.length, () => this.loop!.runMany(plans, inputs, residences));
  }

  close(): void {
    this.step.close();
    this.releaseLoop();
  }

  private releaseLoop(): void {
    this.loop?.close();
    this.loop = undefined;
  }

  private get depth(): number {
    return Math.min(MOST_STEPS, Math.floor(CALL / this.cost));
  }

  /** Notes which leaves change between steps. */
  private note(inputs: readonly (HostArray | null)[]): void {
    const { last } = this;
    if (last !== undefined)
      this.step.feeds.forEach(({ leaf }, i) => {
        if (!same(last[i]!, inputs[i]!)) this.stacked.add(leaf);
      });
    this.last = inputs;
  }

  private timed<T>(steps: number, body: () => T): T {
    const start = performance.now();
    const result = body();
    const cost = (performance.now() - start) / steps;
    // The first call of a program prepares it: what counts is how it goes on.
    if (this.fresh) this.fresh = false;
    else this.cost = this.cost === Infinity ? cost : 0.7 * this.cost + 0.3 * cost;
    this.trials += steps;
    return result;
  }
}

/** Whether two steps are fed the same. Numbers come in an array of their own each time. */
function same(a: HostArray | null, b: HostArray | null): boolean {
  if (a === b) return true;
  return a !== null && b !== null && a.length === 1 && b.length === 1 && Object.is(a[0], b[0]);
}
