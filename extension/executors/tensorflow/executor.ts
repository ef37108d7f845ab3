import { availableParallelism } from "node:os";
import type { NativeBinding } from "../../native/binding.ts";
import { chosenThreads } from "../../native/load.ts";
import type { HostArray } from "../../tensor/core/dtype.ts";
import { internal } from "../../tensor/core/errors.ts";
import type { Leaf, Storage, Value } from "../../tensor/recording/graph.ts";
import { attr, scalar, vector, type TfRef } from "../../tensor/lowering/lowering.ts";
import { leafData, type Executor, type Inspector, type Plan } from "../../tensor/planning/barrier.ts";
import type { SteadyGraph } from "../../tensor/recording/policy.ts";
import { runtime } from "../../tensor/recording/runtime.ts";
import { numel } from "../../tensor/core/shape.ts";
import { firstDifference, graphName, outlineOf, Fallbacks, type Choice, type Outline } from "../choices.ts";
import { inParts } from "./sharding/batchParts.ts";
import { EagerBuilder, EagerRef, upload } from "./eagerBuilder.ts";
import { isVague, translated } from "../errors.ts";
import { Lowering } from "../layouts.ts";
import { tensorflowBackend } from "./backend.ts";
import { CompiledPlan } from "./compiledPlan.ts";
import { collectPassedOn, passedOn } from "./hostMemory.ts";
import type { Residence, Residences } from "./program.ts";
import { counted, nearing, settled } from "./graph/xla.ts";

/** Graphs smaller than this are not worth a session. */
const SMALLEST = 4;
/** Sessions kept at most; the least recently used goes first. */
const PROGRAMS = 32;
/** Graphs compiled at first sight, where they are expected to come again: a model that makes more of them is dynamic. */
const EXPECTED = 24;
/** Numbers of an initial value from which on it isn't uploaded, where an op can make it. */
const LARGE = 2 ** 16;
/** Keys remembered as seen once. */
const SEEN = 1024;

/**
 * Runs plans on TensorFlow: op by op when a graph is seen for the first time, as one compiled call from the second time
 * on; in a training, which repeats its graphs, from the first.
 */
export class TensorFlowExecutor implements Executor, Residences {
  /** What ran how: a fast path that silently isn't one shows here. */
  readonly counters = {
    interpreted: 0,
    interpretedNodes: 0,
    compiled: 0,
    /** Of those compiled, how many have their batch in parts. */
    inParts: 0,
    compiledRuns: 0,
    /** Of those, how many XLA has compiled. */
    byXla: 0,
    calls: 0,
    /** Of those, how many went on while the next steps were recorded. */
    meanwhile: 0,
    /** Steps that were computed before they were asked for. */
    foreseen: 0,
    /** Graphs of a training that were computed op by op because it has too many different ones. */
    fellBack: 0,
    recompiled: 0,
    evicted: 0,
  };
  private readonly binding: NativeBinding;
  private readonly cores: number;
  readonly fallbacks = new Fallbacks();
  /** The training step that was compiled last. */
  private lastStep: Outline | undefined;
  private readonly programs = new Map<string, CompiledPlan>();
  /** The plan some of whose steps wait. */
  private waiting: CompiledPlan | undefined;
  /** The plan whose last steps were computed ahead: their gradients may be asked for. */
  private ahead: CompiledPlan | undefined;
  private readonly seen = new Set<string>();
  /** Tensors of lazy values, by what reads them. */
  private readonly lazy = new Map<() => HostArray, number>();
  /** Those of the last step, where it was computed with others: until the next one. */
  private lastLazy: readonly number[] = [];
  // Tensors of unreachable storages, freed between calls.
  private readonly abandoned: number[] = [];
  private readonly registry = new FinalizationRegistry<Residence>((r) => {
    if (r.kind === "handle") this.abandoned.push(r.id);
  });

  /** @param cores what a large step's batch is divided for; all there are by default */
  constructor(binding: NativeBinding, cores = availableParallelism()) {
    this.binding = binding;
    this.cores = cores;
  }

  run(plan: Plan, inspector?: Inspector): void {
    for (const id of this.abandoned.splice(0)) this.binding.deleteTensor(id);
    if (plan.assigns.length > 0) {
      for (const id of this.lastLazy) this.binding.deleteTensor(id);
      this.lastLazy = [];
    }
    let compiled: CompiledPlan | undefined;
    try {
      compiled = inspector === undefined ? this.compiledPlan(plan) : undefined;
      if (compiled !== this.waiting) this.flush();
      if (compiled !== this.ahead && plan.assigns.length > 0) {
        this.ahead?.forget();
        this.ahead = undefined;
      }
      if (compiled === undefined) {
        this.keepLazy(plan.lazy, this.interpret(plan, inspector));
        return;
      }
      this.counters.compiledRuns++;
      if (this.defer(compiled, plan) || this.foresee(compiled, plan)) return;
      this.flush();
      this.counters.calls++;
      this.keepLazy(plan.lazy, compiled.run(plan, this));
    } catch (error) {
      const known = translated(error);
      if (compiled !== undefined && isVague(known)) this.explain(plan, known);
      throw known;
    }
  }

  /** Computes a plan that was refused op by op, and writes nothing: the error there says more. */
  private explain(plan: Plan, error: unknown): void {
    const done = (): never => {
      throw error;
    };
    this.interpret(plan, { node() {}, done });
  }

  /** Queues a training step with the next ones, when its values are not read at once. */
  private defer(compiled: CompiledPlan, plan: Plan): boolean {
    const { deferSteps, training } = runtime.policy;
    if (!deferSteps || plan.assigns.length === 0 || plan.lazy.length > 0) return false;
    if (training !== undefined) training.steady = counted(training.steady, compiled.name);
    const place = compiled.defer(plan, this, training !== undefined && forXla(training.steady, compiled));
    if (place === undefined) return false;
    if (compiled.byXla) this.counters.byXla++;
    this.waiting = compiled;
    const { results, step } = place;
    if (step === 0) {
      this.counters.calls++;
      if (compiled.pending > 1) this.counters.meanwhile++;
    }
    // What reads them holds on to no graph: hundreds of steps may wait.
    plan.fetches.forEach((value, i) => {
      const size = numel(value.shape);
      value.read = () => {
        if (results.fetched === undefined && results.refused === undefined) compiled.obtain(results, this);
        // One of the steps that were computed together was refused: so is reading any of them.
        if (results.refused !== undefined) throw results.refused;
        const all = results.fetched?.[i] ?? internal("steps that waited were not computed");
        const [from, to] = [step * size, (step + 1) * size];
        // A single number shares the memory of its call: an array of its own would take longer than the rest of reading.
        return size === 1 ? all.subarray(from, to) : all.slice(from, to);
      };
    });
    return true;
  }

  /** Takes a step from the speculative ones, or computes it together with some that will follow. */
  private foresee(compiled: CompiledPlan, plan: Plan): boolean {
    const { deferSteps, training, lookahead } = runtime.policy;
    if (deferSteps || training === undefined || lookahead === undefined || plan.assigns.length === 0)
      return false;
    // Where it isn't known what comes, a call of XLA would compute a single step, and cost more than it saves.
    const places = compiled.places(plan, lookahead);
    training.steady = counted(
      training.steady,
      lookahead.predictable && places !== undefined ? compiled.name : "",
    );
    const place = compiled.foresee(plan, this, forXla(training.steady, compiled), lookahead, places);
    if (place === undefined) return false;
    if (compiled.byXla) this.counters.byXla++;
    this.waiting = this.ahead = compiled;
    const { results, step } = place;
    if (step === 0) this.counters.calls++;
    else this.counters.foreseen++;
    plan.fetches.forEach((value, i) => {
      const size = numel(value.shape);
      value.data = results.fetched![i]!.slice(step * size, (step + 1) * size);
    });
    // It mustn't hold on to the step's graph: V8 would keep all steps since its last major collection.
    plan.lazy.forEach((value, i) => {
      value.read = () => this.binding.tensorDataSync(this.lazyOf(compiled)[i]!) as HostArray;
    });
    return true;
  }

  /** The gradients of the last step, which was computed with others. */
  private lazyOf(compiled: CompiledPlan): readonly number[] {
    if (this.lastLazy.length === 0) this.lastLazy = compiled.lazy(this);
    return this.lastLazy;
  }

  get waits(): number {
    return this.waiting?.pending ?? 0;
  }

  compiled(key: string): boolean {
    return this.programs.has(key);
  }

  flush(): void {
    const { waiting } = this;
    if (waiting === undefined) return;
    this.waiting = undefined;
    waiting.flush(this);
  }

  /** Computes what waits, if that writes the storage. */
  private settle({ device }: Storage): void {
    const at = device as Residence | undefined;
    if (at?.kind === "variable" && this.waiting?.writes(at.program) === true) this.flush();
  }

  read(storage: Storage): HostArray {
    this.settle(storage);
    const at = storage.device as Residence;
    const id = at.kind === "handle" ? at.id : (at.handle ?? at.program.handle(at.index));
    return this.binding.tensorDataSync(id) as HostArray;
  }

  /** A tensor with the storage's current value; stays the executor's. */
  handle(storage: Storage): number {
    this.settle(storage);
    const at = storage.device as Residence | undefined;
    if (at === undefined) {
      const data = storage.host;
      if (data === undefined) throw new Error("internal: a storage without a value");
      const id = upload(this.binding, data, storage.shape, storage.dtype);
      this.place(storage, { kind: "handle", id });
      return id;
    }
    return at.kind === "handle" ? at.id : (at.handle ?? at.program.handle(at.index));
  }

  /** Live tensors of the library, for tests of leaks. */
  get tensors(): number {
    return this.binding.getNumOfTensors();
  }

  left(storage: Storage): void {
    this.registry.unregister(storage);
  }

  private place(storage: Storage, residence: Residence): void {
    this.registry.unregister(storage);
    this.registry.register(storage, residence, storage);
    storage.device = residence;
  }

  private keepLazy(values: readonly Value[], ids: readonly number[]): void {
    values.forEach((value, i) => {
      const id = ids[i]!;
      // A value may be the gradient of several leaves.
      this.release(value);
      value.read = () => this.binding.tensorDataSync(id) as HostArray;
      this.lazy.set(value.read, id);
    });
  }

  holds({ read }: Value): boolean {
    return read !== undefined && this.lazy.has(read);
  }

  release({ read }: Value): void {
    const id = read && this.lazy.get(read);
    if (read === undefined || id === undefined) return;
    this.lazy.delete(read);
    this.binding.deleteTensor(id);
  }

  /** The compiled form of a plan seen before. */
  private compiledPlan(plan: Plan): CompiledPlan | undefined {
    this.prepare(plan);
    const { key } = plan;
    const known = this.programs.get(key);
    if (known !== undefined) {
      // The steps that wait were recorded with the constants as they are.
      if (known === this.waiting && known.outdated(plan)) this.flush();
      const next = known.replacement(plan) ?? known;
      if (next !== known) this.counters.recompiled++;
      this.programs.delete(key);
      this.programs.set(key, next);
      return next;
    }
    if (plan.nodes.length < SMALLEST) return undefined;
    const { compileAtOnce } = runtime.policy;
    if (this.seen.delete(key) || (compileAtOnce && this.counters.compiled < EXPECTED))
      return this.compile(plan);
    if (compileAtOnce) this.fellBack(plan);
    this.seen.add(key);
    if (this.seen.size > SEEN) this.seen.delete(first(this.seen)!);
    return undefined;
  }

  private compile(plan: Plan): CompiledPlan {
    this.flush();
    const parted = inParts(plan, this.cores);
    if (parted.parts > 1) this.counters.inParts++;
    const program = new CompiledPlan(this.binding, parted);
    this.counters.compiled++;
    if (plan.assigns.length > 0) this.lastStep = outlineOf(plan);
    this.programs.set(plan.key, program);
    if (this.programs.size > PROGRAMS) {
      const oldest = first(this.programs.keys())!;
      this.programs.get(oldest)!.close();
      this.programs.delete(oldest);
      this.counters.evicted++;
    }
    return program;
  }

  /** What was chosen for the graphs there are. */
  choices(): Choice[] {
    const threads = chosenThreads();
    const made = [...this.programs.values()].flatMap((program) => program.choices());
    if (threads === undefined) return made;
    const { intraOp, interOp = String(availableParallelism()), why } = threads;
    return [
      { graph: "", about: "threads", chosen: `${intraOp} inside an op, ${interOp} between`, why },
      ...made,
    ];
  }

  /** Says why a training's graph is computed op by op. */
  private fellBack(plan: Plan): void {
    this.counters.fellBack++;
    if (!this.fallbacks.wanted || this.lastStep === undefined) return;
    const { node, got, expected } = firstDifference(this.lastStep, plan);
    this.fallbacks.note({
      graph: graphName(plan, plan.nodes.length),
      why: `there were ${EXPECTED} different graphs before it; this one has ${got} where the last step had ${expected}`,
      op: node.op.name,
      module: node.module,
      site: node.site,
    });
  }

  /** Op by op: the reference that the compiled path is checked against. */
  private interpret(plan: Plan, inspector: Inspector | undefined): number[] {
    if (inspector !== undefined) this.prepare(plan);
    const b = new EagerBuilder(this.binding);
    try {
      const lowering = new Lowering(tensorflowBackend(b, (value) => this.leaf(b, value)));
      const ref = (value: Value): EagerRef => lowering.plain(value) as EagerRef;
      const read = (value: Value): HostArray => this.binding.tensorDataSync(ref(value).id) as HostArray;
      inspector?.begin?.();
      for (const node of plan.nodes) {
        lowering.node(node);
        inspector?.node(node, read);
      }
      inspector?.done(read);
      for (const value of plan.fetches) value.data = read(value);
      const written = plan.assigns.map(({ value }) => b.take(ref(value)));
      const lazy = plan.lazy.map((value) => b.take(ref(value)));
      plan.assigns.forEach(({ storage }, i) => {
        const before = storage.device as Residence | undefined;
        const stale = before?.kind === "handle" ? before.id : before?.handle;
        if (stale !== undefined) this.binding.deleteTensor(stale);
        this.place(storage, { kind: "handle", id: written[i]! });
      });
      return lazy;
    } finally {
      this.counters.interpreted++;
      this.counters.interpretedNodes += b.count;
      b.release();
    }
  }

  /** Has initial values of storages and draws where they are used, in program order, before anything is computed. */
  private prepare(plan: Plan): void {
    collectPassedOn();
    for (const value of plan.leaves) {
      const leaf = value.producer;
      if (leaf.kind === "random") {
        if (value.data === undefined) passedOn(leafData(value));
      } else if (leaf.kind === "state" && leaf.storage.device === undefined && !this.fill(leaf)) {
        const known = leaf.storage.host !== undefined;
        const data = leafData(value);
        if (!known) passedOn(data);
      }
    }
  }

  /** Makes a large initial value of one number where it will be, without an array of the host. */
  private fill({ storage, version, initial }: Extract<Leaf, { kind: "state" }>): boolean {
    const { shape, dtype } = storage;
    if (initial?.producer.kind !== "fill" || initial.data !== undefined || storage.host !== undefined)
      return false;
    if (storage.version !== version || numel(shape) < LARGE) return false;
    const b = new EagerBuilder(this.binding);
    try {
      const inputs = [vector(b, shape), scalar(b, initial.producer.value, dtype)];
      const attributes = { T: attr.type(dtype), index_type: attr.type("int64") };
      this.place(storage, { kind: "handle", id: b.take(b.node("Fill", inputs, attributes)) });
    } finally {
      b.release();
    }
    return true;
  }

  private leaf(b: EagerBuilder, value: Value): TfRef {
    const leaf = value.producer;
    if (leaf.kind === "state" && leaf.version === leaf.storage.version)
      return new EagerRef(this.handle(leaf.storage));
    return b.constant(leafData(value), value.shape, value.dtype);
  }
}

function first<T>(items: Iterable<T>): T | undefined {
  for (const item of items) return item;
  return undefined;
}

/** Whether a step is to be computed by XLA, which is told in time. */
function forXla(steady: SteadyGraph, compiled: CompiledPlan): boolean {
  const { name } = compiled;
  if (name !== "" && nearing(steady, name)) compiled.compileForXla();
  // It may turn out that XLA can't.
  return compiled.name !== "" && settled(steady, name);
}
