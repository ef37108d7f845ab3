import type { NativeBinding } from "../../../native/binding.ts";
import type { HostArray } from "../../../tensor/core/dtype.ts";
import { internal } from "../../../tensor/core/errors.ts";
import type { Plan } from "../../../tensor/planning/barrier.ts";
import type { Lookahead } from "../../../tensor/recording/policy.ts";
import { runtime } from "../../../tensor/recording/runtime.ts";
import { numel } from "../../../tensor/core/shape.ts";
import { translated } from "../../errors.ts";
import type { Counters } from "../counters.ts";
import { sameInputs, type Input, type VaryingInputs } from "../feeding.ts";
import { checkedFor, countStep, type Checked } from "../graph/xla.ts";
import type { Ended, Program } from "../program.ts";
import type { CallLength } from "./callLength.ts";
import type { LoopProgram } from "./loopProgram.ts";
import { batchPositions, canRollBack, predictedInputs, SpeculationWindow } from "./lookahead.ts";

/** Steps that one call computes. They differ only in their inputs, so one plan stands for all. */
interface Call {
  readonly plan: Plan;
  /** By step. */
  readonly inputs: (readonly Input[])[];
  /** How many of the steps were recorded. Those after them are speculative. */
  committed: number;
  /** Fetched values of all steps, one after the other; undefined until the call has ended. */
  fetched?: readonly HostArray[] | undefined;
  /** Why nothing is fetched. */
  refused?: Error;
}

/** Parts of a pipeline. */
interface PipelineParts {
  /** Computes one step. */
  readonly single: Program;
  /** Computes several. */
  readonly loop: LoopProgram;
  readonly length: CallLength;
  readonly varying: VaryingInputs;
  readonly counters: Counters;
}

/**
 * The training steps of a plan that share calls. A step is committed when it is recorded. Committed steps may wait in a
 * queue until a call pays, and that call runs while the next steps are recorded. Where the next inputs are known, a
 * call computes speculative steps as well: the next recorded step takes its values from them if its inputs are the
 * same. Otherwise speculative steps are rolled back.
 */
export class StepPipeline {
  /** Committed steps whose call has not started yet. */
  #queue: Call | undefined;
  /** The call under way. */
  #running: { readonly call: Call; readonly wait: () => Ended } | undefined;
  /** The last call of steps that were read one by one, with the variables as they were before it. */
  #last: { readonly call: Call; readonly snapshot: readonly number[] } | undefined;
  /** Tensors of the last step's lazy values, once one was read. */
  #lazy: readonly number[] = [];
  readonly #window = new SpeculationWindow();
  readonly #canRollBack: boolean;
  #checked: readonly Checked[] | undefined;
  readonly #binding: NativeBinding;
  readonly #plan: Plan;
  readonly #single: Program;
  readonly #loop: LoopProgram;
  readonly #length: CallLength;
  readonly #varying: VaryingInputs;
  readonly #counters: Counters;

  constructor(binding: NativeBinding, plan: Plan, parts: PipelineParts) {
    this.#binding = binding;
    this.#plan = plan;
    this.#single = parts.single;
    this.#loop = parts.loop;
    this.#length = parts.length;
    this.#varying = parts.varying;
    this.#counters = parts.counters;
    this.#canRollBack = canRollBack(plan, this.#single.feeds);
  }

  /** Committed steps that are not computed yet. */
  get pending(): number {
    return (this.#queue?.inputs.length ?? 0) + (this.#running?.call.inputs.length ?? 0);
  }

  /** Whether steps write, or have written, the variables of a program. */
  writes(program: object): boolean {
    return this.#loop.isOpen && program === this.#loop.current;
  }

  /** Takes a step that was just recorded. @returns false for a step that has to be computed by itself */
  commit(plan: Plan): boolean {
    const { deferSteps, training, lookahead } = runtime.policy;
    if (plan.assigns.length === 0) return false;
    if (deferSteps) {
      if (plan.lazy.length > 0) return false;
      if (training !== undefined) training.steady = countStep(training.steady, this.#loop.name);
      return this.#enqueue(plan, training !== undefined && this.#loop.wantsXla(training.steady));
    }
    if (training === undefined || lookahead === undefined) return false;
    const positions = this.#canRollBack ? batchPositions(plan, this.#single.feeds, lookahead) : undefined;
    // Without known inputs, a call of XLA would compute a single step, and cost more than it saves.
    const known = lookahead.predictable && positions !== undefined;
    training.steady = countStep(training.steady, known ? this.#loop.name : "");
    return this.#commitOrSpeculate(plan, this.#loop.wantsXla(training.steady), lookahead, positions);
  }

  /** Lets a step wait for others, so that one call computes them all. A step of XLA always waits. */
  #enqueue(plan: Plan, xla: boolean): boolean {
    this.rollback();
    this.discard();
    if (!xla && !this.#severalFit) return false;
    const inputs = this.#single.inputs(plan);
    if (xla) this.#check(inputs);
    this.#varying.note(inputs);
    if (!this.#enterLoop(xla)) return xla && this.#enqueue(plan, false);
    const call = (this.#queue ??= { plan, inputs: [], committed: 0 });
    const step = call.committed++;
    call.inputs.push(inputs);
    if (call.committed >= this.#length.steps) this.#start();
    if (step === 0) {
      this.#counters.calls++;
      if (this.pending > 1) this.#counters.overlapped++;
    }
    this.#handOver(plan, call, step, xla);
    return true;
  }

  /** Commits a step that was computed speculatively, or computes it together with the next predicted steps. */
  #commitOrSpeculate(
    plan: Plan,
    xla: boolean,
    lookahead: Lookahead,
    positions: readonly number[] | undefined,
  ): boolean {
    if (this.pending > 0) this.flush();
    this.#dropLazy();
    const inputs = this.#single.inputs(plan);
    if (xla) this.#check(inputs);
    if (this.#commitSpeculated(plan, inputs, xla)) return true;
    this.rollback();
    this.discard();
    const loop = this.#loop;
    const window = this.#window;
    const length = this.#length;
    const most = window.next();
    const steps =
      most < 2 || positions === undefined || !this.#severalFit
        ? [inputs]
        : predictedInputs(
            plan,
            this.#single.feeds,
            inputs,
            positions,
            lookahead,
            Math.min(length.steps, most),
          );
    if (!xla && steps.length < 2) return false;
    for (const each of steps) this.#varying.note(each);
    if (!this.#enterLoop(xla)) return xla && this.#commitOrSpeculate(plan, false, lookahead, positions);
    const program = loop.current;
    const snapshot = steps.length > 1 || plan.lazy.length > 0 ? program.values() : [];
    try {
      const fetched = length.time(steps.length, () => program.runMany(plan, steps));
      // Its own plan: the recorded one would keep the step's graph alive.
      const call = { plan: this.#plan, inputs: steps, committed: 1, fetched };
      this.#last = { call, snapshot };
      this.#counters.calls++;
      this.#handOver(plan, call, 0, xla);
      return true;
    } catch (error) {
      if (snapshot.length > 0) program.restore(snapshot);
      this.#drop(snapshot);
      if (steps.length === 1) throw error;
      // A speculative step may have failed, which is an error only once the step is recorded.
      window.inVain();
      return xla && this.#commitOrSpeculate(plan, true, lookahead, positions);
    }
  }

  /** Commits the next speculative step, if it was computed with just these inputs. */
  #commitSpeculated(plan: Plan, inputs: readonly Input[], xla: boolean): boolean {
    const loop = this.#loop;
    const call = this.#last?.call;
    // A weight that was replaced since is no variable of the loop. XLA and TensorFlow's loop round differently.
    if (call === undefined || loop.byXla !== xla || !loop.isOpen || !loop.current.home) return false;
    const step = call.committed;
    if (step === call.inputs.length || !sameInputs(call.inputs[step]!, inputs)) return false;
    call.committed++;
    if (call.committed === call.inputs.length) this.#window.used(call.inputs.length);
    this.#counters.speculated++;
    this.#handOver(plan, call, step, xla);
    return true;
  }

  /** Gives a step's values their readers, which don't hold the step's graph: hundreds of steps may wait. */
  #handOver({ fetches, lazy }: Plan, call: Call, step: number, xla: boolean): void {
    if (xla) this.#counters.byXla++;
    fetches.forEach((value, i) => {
      const size = numel(value.shape);
      const take = (): HostArray => {
        const all = call.fetched?.[i] ?? internal("steps that waited were not computed");
        const [from, to] = [step * size, (step + 1) * size];
        // A single number shares its call's memory: allocating an array would take longer than the rest of reading.
        return size === 1 ? all.subarray(from, to) : all.slice(from, to);
      };
      if (call.fetched !== undefined) value.data = take();
      else
        value.read = () => {
          this.#compute(call);
          return take();
        };
    });
    lazy.forEach((value, i) => {
      value.read = () => this.#binding.tensorDataSync(this.#lazyTensors()[i]!) as HostArray;
    });
  }

  /** Whether calls of several steps are possible and pay. */
  get #severalFit(): boolean {
    return this.#loop.possible && this.#length.several;
  }

  /** Moves the storages that the loop writes into it. @returns false where the plan can't be looped */
  #enterLoop(xla: boolean): boolean {
    const loop = this.#loop;
    if (!loop.fits(xla)) {
      this.flush();
      this.discard();
      loop.release();
      if (!loop.open(xla)) return false;
      this.#length.fresh = !xla;
    }
    loop.current.enter();
    return true;
  }

  /** @throws TensorError for values that TensorFlow's kernels would refuse: XLA computes something of them */
  #check(inputs: readonly Input[]): void {
    this.#checked ??= checkedFor(this.#plan);
    for (const { leaf, check } of this.#checked) {
      const input = inputs[this.#single.feeds.findIndex((feed) => feed.leaf === leaf)];
      if (typeof input === "number") check(input);
      else input?.forEach(check);
    }
  }

  /**
   * Makes sure that a call is computed.
   * @throws TensorError if one of its steps was refused: then no step of the call can be read
   */
  #compute(call: Call): void {
    if (call.fetched === undefined && call.refused === undefined) {
      if (this.#running?.call === call) this.#finish();
      else this.flush();
    }
    if (call.refused !== undefined) throw call.refused;
  }

  /** Computes all committed steps and rolls back speculative ones. */
  flush(): void {
    this.rollback();
    this.#start();
    this.#finish();
  }

  /**
   * Starts the call of the queued steps as soon as the one before has ended.
   * @throws TensorError if the one before was refused
   */
  #start(): void {
    const call = this.#queue;
    const running = this.#running;
    if (call === undefined) return;
    this.#queue = undefined;
    const program = this.#loop.current;
    let ended: Ended | undefined;
    try {
      const stack = program.stack(call.plan, call.inputs);
      try {
        ended = this.#wait();
        this.#running = { call, wait: program.start(call.plan, stack) };
      } finally {
        program.release(stack);
      }
    } catch (error) {
      throw (call.refused = translated(error) as Error);
    } finally {
      // The next call doesn't wait for this.
      if (running !== undefined) running.call.fetched = ended?.take();
    }
  }

  /**
   * Waits for the call under way.
   * @throws TensorError if it was refused
   */
  #finish(): void {
    const running = this.#running;
    if (running !== undefined) running.call.fetched = this.#wait()?.take();
  }

  #wait(): Ended | undefined {
    const running = this.#running;
    this.#running = undefined;
    if (running === undefined) return undefined;
    try {
      const ended = running.wait();
      this.#length.took(running.call.inputs.length, ended.milliseconds);
      return ended;
    } catch (error) {
      const refused = translated(error) as Error;
      running.call.refused = refused;
      // The queued steps were recorded as if this call had succeeded.
      if (this.#queue !== undefined) this.#queue.refused = refused;
      this.#queue = undefined;
      throw refused;
    }
  }

  /** Undoes speculative steps: the variables are restored, and the committed steps replayed. */
  rollback(): void {
    const last = this.#last;
    if (last === undefined) return;
    const { call, snapshot } = last;
    if (call.committed === call.inputs.length) return;
    this.#window.cut(call.committed);
    call.inputs.length = call.committed;
    this.#replay(snapshot, call.inputs);
  }

  /** Frees lazy tensors, and the snapshot from which the last steps could be replayed. */
  discard(): void {
    this.#dropLazy();
    this.#drop(this.#last?.snapshot ?? []);
    this.#last = undefined;
  }

  /** Returns tensors of the lazy values of the last step, which was computed together with others. */
  #lazyTensors(): readonly number[] {
    if (this.#lazy.length > 0) return this.#lazy;
    this.rollback();
    const { call, snapshot } = this.#last ?? internal("lazy values of a step that is over");
    this.#replay(snapshot, call.inputs.slice(0, -1));
    const before = this.#loop.current.values();
    this.#single.restore(before);
    this.#drop(before);
    this.#lazy = this.#single.lazy(this.#plan, call.inputs.at(-1)!);
    this.#replay(snapshot, call.inputs);
    return this.#lazy;
  }

  #dropLazy(): void {
    this.#drop(this.#lazy);
    this.#lazy = [];
  }

  #drop(tensors: readonly number[]): void {
    for (const id of tensors) this.#binding.deleteTensor(id);
  }

  /**
   * Restores the variables from a snapshot and runs steps again. A weight that the user has replaced since is no longer
   * among the storages that live here; it enters with the next step.
   */
  #replay(snapshot: readonly number[], inputs: readonly (readonly Input[])[]): void {
    const program = this.#loop.current;
    program.restore(snapshot);
    if (inputs.length > 0) program.runMany(this.#plan, inputs);
  }
}
