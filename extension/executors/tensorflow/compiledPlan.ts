import type { NativeBinding } from "../../native/binding.ts";
import { internal } from "../../tensor/core/errors.ts";
import type { Plan } from "../../tensor/planning/barrier.ts";
import type { Lookahead } from "../../tensor/recording/policy.ts";
import { graphName, type Choice } from "../choices.ts";
import type { Parted } from "./sharding/batchParts.ts";
import { Blueprint } from "./graph/blueprint.ts";
import { fedAlike, isLarge, remembered, type Input, type Remembered } from "./feeding.ts";
import { writeStep, type Graph } from "./graph/graphWriter.ts";
import { Program, type Residences } from "./program.ts";
import { writeLoop } from "./steps/stepLoop.ts";
import { canBeUndone, foreseen, placesOf } from "./steps/foresight.ts";
import { StepsAhead, type Place, type Results } from "./steps/stepsAhead.ts";
import { StepsWaiting } from "./steps/stepsWaiting.ts";
import { checkedFor, type Checked, MOST_NODES, nameOf, SETTLED, whyNotXla } from "./graph/xla.ts";

/** How long one call may take, in ms: between two calls a run can be paused or stopped. */
const CALL = 25;
/** Steps in one call at most. */
const MOST_STEPS = 200;
/** Multiply-adds of a step that is computed on the thread that asks for it: waking others would take longer. */
const SMALL = 2e7;
/** Single steps before the time of one is believed. */
const TRIALS = 4;

/**
 * A plan seen before, compiled: one program for a single step and, where steps may wait for each other, one that loops
 * over many; by XLA, where that pays and the plan comes often.
 */
export class CompiledPlan {
  /** What its steps are counted by; empty for a plan that XLA isn't to compile. */
  name = "";
  /** Why XLA isn't to. */
  private whyNot: string | undefined;
  private readonly binding: NativeBinding;
  /** Leaves whose number changed from call to call: fed instead of constant. */
  private readonly promoted: ReadonlySet<number>;
  private readonly parted: Parted;
  private readonly blueprint: Blueprint;
  private readonly step: Program;
  private loop: Program | undefined;
  /** XLA's loop while XLA is at work on it, and what waits for that. */
  private coming: { readonly program: Program; readonly ready: () => void } | undefined;
  private loopable = true;
  /** Whether the loop is XLA's. */
  byXla = false;
  private checked: readonly Checked[] | undefined;
  /** How many leaves the loop takes from step to step. */
  private loopStacks = 0;
  /** Leaves that differ from step to step. */
  private readonly stacked = new Set<number>();
  private last: readonly Remembered[] | undefined;
  /** Whether a step is fed large arrays. */
  private readonly large: boolean;
  private readonly waiting = new StepsWaiting((steps, ms) => this.took(steps, ms));
  private readonly ahead: StepsAhead;
  private readonly canBeUndone: boolean;
  private trials = 0;
  /** Whether the next call is the first of a program. */
  private fresh = true;
  /** Time of a step, in ms. */
  private cost = Infinity;

  constructor(
    binding: NativeBinding,
    parted: Parted,
    promoted: ReadonlySet<number> = new Set(),
    blueprint = new Blueprint(parted.plan, parted.cores),
  ) {
    this.binding = binding;
    this.promoted = promoted;
    this.parted = parted;
    this.blueprint = blueprint;
    this.step = this.program(writeStep(blueprint, promoted));
    this.large = this.step.feeds.some(({ leaf }) => isLarge(blueprint.plan.leaves[leaf]!));
    this.whyNot = whyNotXla(blueprint);
    this.canBeUndone = canBeUndone(blueprint.plan, this.step.feeds);
    this.ahead = new StepsAhead(binding, blueprint.plan, MOST_STEPS);
    if (this.whyNot === undefined) this.name = nameOf(blueprint.plan);
  }

  private program(graph: Graph): Program {
    const { parted, blueprint } = this;
    const divided = parted.parts > 1 || blueprint.weightParts.weights > 0;
    return new Program(this.binding, graph, !divided && blueprint.cost <= SMALL);
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
    if (this.pending > 0) internal("a plan is replaced while steps of it wait");
    this.close();
    const all = new Set([...this.promoted, ...changed]);
    return new CompiledPlan(this.binding, this.parted, all, this.blueprint);
  }

  /** What was chosen for it so far. */
  choices(): Choice[] {
    const { parts, why, plan, ops } = this.parted;
    const graph = graphName(plan, ops);
    const compiled = `${this.step.size} TensorFlow nodes, one call`;
    const made = [{ graph, about: "graph", chosen: "compiled", why: compiled }];
    if (plan.assigns.length === 0) return made;
    made.push({ graph, about: "batch", chosen: parts > 1 ? `in ${parts} parts` : "whole", why });
    const { inPlace, weightParts } = this.blueprint;
    if (weightParts.weights > 0)
      made.push({
        graph,
        about: "weights",
        chosen: `${weightParts.weights} in parts`,
        why: "cores share their products and updates",
      });
    const updates = [...new Set([...inPlace].map(({ op }) => op.name))].join(", ");
    if (inPlace.size > 0)
      made.push({
        graph,
        about: "update",
        chosen: `in place: ${updates}`,
        why: "TensorFlow has it as one kernel a weight",
      });
    if (plan.lazy.length === 0) made.push({ graph, about: "XLA", ...this.xlaChoice() });
    const calls = this.calls();
    return calls === undefined ? made : [...made, { graph, about: "steps a call", ...calls }];
  }

  private xlaChoice(): Pick<Choice, "chosen" | "why"> {
    if (this.whyNot !== undefined) return { chosen: "no", why: this.whyNot };
    return {
      chosen: this.byXla ? "yes" : `after ${SETTLED} steps`,
      why: "a small step costs TensorFlow more for its nodes than for what they compute; compiling takes a while",
    };
  }

  /** How many steps a call has, and why; undefined while that isn't known. */
  private calls(): Pick<Choice, "chosen" | "why"> | undefined {
    if (!this.loopable) return { chosen: "1", why: "an op of it can't be part of a loop in the graph" };
    if (this.trials < TRIALS || this.cost === Infinity) return undefined;
    const time = `a step takes ${Number(this.cost.toPrecision(2))} ms, and a call at most ${CALL}`;
    if (this.depth < 2) return { chosen: "1", why: time };
    if (this.loop !== undefined) return { chosen: `up to ${this.depth}`, why: time };
    return { chosen: "1", why: "each step is read before the next is recorded" };
  }

  /** Steps that are not computed yet: they wait to be, or are meanwhile. */
  get pending(): number {
    return this.waiting.count;
  }

  /** One step, now. Answers the tensors of the plan's lazy values. */
  run(plan: Plan, residences: Residences): number[] {
    this.forget();
    const inputs = this.step.inputs(plan);
    this.note(inputs);
    return this.timed(1, () => this.step.run(plan, inputs, residences));
  }

  /**
   * Lets a step wait for others, so that one call computes them all.
   * @param xla whether the step is to be computed by what XLA compiles: then it always waits
   * @returns where the values of its fetches will be, and the step's place among them; undefined when that isn't worth
   * it: the step has to be run
   */
  defer(plan: Plan, residences: Residences, xla: boolean): Place | undefined {
    this.settle(residences);
    this.forget();
    if (!xla && !this.loops) return undefined;
    const inputs = this.step.inputs(plan);
    if (xla) this.check(inputs);
    this.note(inputs);
    if (!this.enterLoop(residences, xla)) return xla ? this.defer(plan, residences, false) : undefined;
    const place = this.waiting.add(plan, inputs);
    if (this.waiting.unstarted >= this.depth) this.start(residences);
    return place;
  }

  /** Which tensor of the batch each input of a step is; undefined where it can't be known what comes. */
  places(plan: Plan, lookahead: Lookahead): readonly number[] | undefined {
    return this.canBeUndone ? placesOf(plan, this.step.feeds, lookahead) : undefined;
  }

  /**
   * A step whose values are asked for before the next one is made. When it is known what the next ones will be fed, the
   * same call computes some of them: a step that turns out to be fed just that has its values already. As soon as anything
   * else is needed, the variables are rolled back and the committed steps replayed.
   * @param places of {@link places}
   * @returns undefined when the step has to be run by itself
   */
  foresee(
    plan: Plan,
    residences: Residences,
    xla: boolean,
    lookahead: Lookahead,
    places: readonly number[] | undefined,
  ): Place | undefined {
    if (this.pending > 0) this.flush(residences);
    const inputs = this.step.inputs(plan);
    if (xla) this.check(inputs);
    // A weight that was replaced meanwhile lives nowhere yet; and from its step on, XLA rounds what it computes.
    const known = this.byXla === xla && this.loop?.home === true ? this.ahead.take(inputs) : undefined;
    if (known !== undefined) return known;
    this.settle(residences);
    this.forget();
    const many = this.ahead.many();
    const alone = many < 2 || places === undefined || !this.loops;
    const steps = alone
      ? [inputs]
      : foreseen(plan, this.step.feeds, inputs, places, lookahead, Math.min(this.depth, many));
    if (!xla && steps.length < 2) return undefined;
    for (const each of steps) this.note(each);
    if (!this.enterLoop(residences, xla))
      return xla ? this.foresee(plan, residences, false, lookahead, places) : undefined;
    const loop = this.loop!;
    const before = steps.length > 1 || plan.lazy.length > 0 ? loop.values() : [];
    try {
      return this.ahead.put(
        steps,
        before,
        this.timed(steps.length, () => loop.runMany(plan, steps, residences)),
      );
    } catch (error) {
      if (before.length > 0) loop.restore(before);
      this.ahead.drop(before);
      if (steps.length === 1) throw error;
      // Perhaps one of the steps ahead can't be computed: that is to be said when it is its turn.
      this.ahead.inVain();
      return xla ? this.foresee(plan, residences, true, lookahead, places) : undefined;
    }
  }

  /** Tensors of the lazy values of the last step that was asked for; the caller's to delete. */
  lazy(residences: Residences): number[] {
    this.settle(residences);
    return this.ahead.lazy(this.loop!, this.step, residences);
  }

  /** Whatever was computed ahead of the steps that were asked for is undone. */
  private settle(residences: Residences): void {
    if (this.loop !== undefined) this.ahead.settle(this.loop, residences);
  }

  /** Nothing of the last steps will be asked for any more. */
  forget(): void {
    this.ahead.forget();
  }

  /** Whether the time of a step is known, and makes it worth while to compute many in a call. */
  private get loops(): boolean {
    return this.loopable && this.trials >= TRIALS && this.depth >= 2;
  }

  /** Makes the loop the place of the storages that it writes. @returns false where there can be none */
  private enterLoop(residences: Residences, xla: boolean): boolean {
    // An input that was the same in all steps may be another now.
    const fits = this.byXla === xla && (xla || this.loopStacks === this.stacked.size);
    if (this.loop !== undefined && !fits) {
      this.flush(residences);
      this.releaseLoop();
    }
    if (this.loop === undefined && !this.openLoop(xla)) return false;
    // The storages have to be somewhere: from here on they are the program's.
    this.loop!.enter(residences);
    return true;
  }

  /** @throws TensorError for what TensorFlow's kernels would refuse: XLA computes something of it */
  private check(inputs: readonly Input[]): void {
    this.checked ??= checkedFor(this.blueprint.plan);
    for (const { leaf, check } of this.checked) {
      const input = inputs[this.step.feeds.findIndex((feed) => feed.leaf === leaf)];
      if (typeof input === "number") check(input);
      else input?.forEach(check);
    }
  }

  /** @returns false where there can be none */
  private openLoop(xla: boolean): boolean {
    this.loop = xla ? this.compiledByXla() : this.writtenLoop();
    if (this.loop === undefined) return false;
    this.loopStacks = this.stacked.size;
    this.byXla = xla;
    this.fresh = !xla;
    return true;
  }

  private writtenLoop(): Program | undefined {
    const graph = writeLoop(this.blueprint, this.promoted, this.stacked);
    this.loopable = graph !== undefined;
    return graph && this.program(graph);
  }

  /** Has XLA compile many steps, while they go on as before. */
  compileForXla(): void {
    if (this.byXla || this.coming !== undefined) return;
    const { blueprint, promoted } = this;
    // What XLA computes may not depend on what has changed so far.
    const graph = writeLoop(blueprint, promoted, blueprint.inputs(promoted), MOST_STEPS);
    if (graph === undefined) return this.refuseXla("an op of it can't be part of a loop in the graph");
    if (graph.functions.find(({ name }) => name === "step")!.nodes.length > MOST_NODES)
      return this.refuseXla(`it has more than ${MOST_NODES} TensorFlow nodes`);
    try {
      const program = this.program(graph);
      this.coming = { program, ready: program.prepare(blueprint.plan) };
    } catch {
      this.refuseXla("this TensorFlow comes without it");
    }
  }

  /** What XLA has compiled; waits for it. */
  private compiledByXla(): Program | undefined {
    this.compileForXla();
    const { coming } = this;
    this.coming = undefined;
    try {
      coming?.ready();
      return coming?.program;
    } catch {
      coming?.program.close();
      this.refuseXla("it can't compile one of the ops");
      return undefined;
    }
  }

  private refuseXla(why: string): void {
    this.name = "";
    this.whyNot = why;
  }

  /** Computes all that waits, and undoes what was computed ahead. */
  flush(residences: Residences): void {
    this.settle(residences);
    this.start(residences);
    this.waiting.finish();
  }

  /** Whether the steps that wait, or were computed ahead, write the variables of a program. */
  writes(program: Program): boolean {
    return program === this.loop;
  }

  /** Sees to it that results are there. */
  obtain(results: Results, residences: Residences): void {
    if (this.waiting.runs(results)) this.waiting.finish();
    else this.flush(residences);
  }

  /** Starts computing the queued steps while JavaScript continues. */
  private start(residences: Residences): void {
    this.waiting.start(this.loop!, residences);
  }

  close(): void {
    this.forget();
    this.step.close();
    this.releaseLoop();
    if (this.coming !== undefined) this.compiledByXla()?.close();
  }

  private releaseLoop(): void {
    this.forget();
    this.loop?.close();
    this.loop = undefined;
  }

  private get depth(): number {
    return Math.min(MOST_STEPS, Math.floor(CALL / this.cost));
  }

  /** Notes which leaves change between steps. */
  private note(inputs: readonly Input[]): void {
    const { last } = this;
    if (last !== undefined)
      this.step.feeds.forEach(({ leaf }, i) => {
        if (!fedAlike(last[i], inputs[i])) this.stacked.add(leaf);
      });
    this.last = this.large ? inputs.map(remembered) : inputs;
  }

  private timed<T>(steps: number, body: () => T): T {
    const start = performance.now();
    const result = body();
    this.took(steps, performance.now() - start);
    return result;
  }

  private took(steps: number, milliseconds: number): void {
    const cost = milliseconds / steps;
    // The first call of a program prepares it: the later ones count.
    if (this.fresh) this.fresh = false;
    else this.cost = this.cost === Infinity ? cost : 0.7 * this.cost + 0.3 * cost;
    this.trials += steps;
  }
}
