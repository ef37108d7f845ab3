import { isAmongInputs, Node, Value, type GraphTensor, type Storage, type Stretch } from "./graph.ts";
import type { Gradients } from "./gradients.ts";
import { Numbering, place } from "./templates/numbering.ts";
import { Template, type Backward, type BackwardPattern } from "./templates/template.ts";
import { recordAll, released, STAND_IN, type Skipped } from "./skipped.ts";
import { overwritten, readLater, readsInside } from "./laterReads.ts";
import { RememberedGraphs } from "./templates/templateTree.ts";
import { lastValues, Repetition } from "./repetition.ts";
import { isStale, isStaleFor } from "./version.ts";
import type { Plan, Request } from "../planning/executor.ts";
import {
  MAX_CARRIED_VALUES,
  MAX_HELD_VALUES,
  MAX_NAMED_GRAPHS,
  MAX_TRACED_NODES,
  MAX_VAIN_ATTEMPTS,
} from "../tuning.ts";

// A training loop records the same graph step after step. Naming it each time (walking it, writing its key) would
// take longer than computing small models, so its nodes are compared, in the order of recording, with those of graphs
// named before. Once the forward part equals that of the step before, its `backward()` is taken over, not recorded.

/** Nodes recorded since the last barrier, and templates of the graphs before. */
export class Trace {
  /** Nodes since the last barrier; those of a `backward()` taken over are missing, but for its results. */
  #recorded: Node[] = [];
  /** Values that the user may hold, of nodes recorded before `recorded`. */
  #carried: readonly Value[] = [];
  /** Such values of a step that an error has ended: computed apart from the next step, whose graph stays the same. */
  #abandoned: readonly Value[] = [];
  #stretch: Stretch = { step: 0, freed: false, taken: [] };
  #overflow = false;
  #backwards: Backward[] = [];
  /** The last training step. */
  #latest: Template | undefined;
  /** How far the current step repeats a template. */
  #progress: { readonly template: Template; readonly numbering: Numbering; matched: number } | undefined;
  #skipped: Skipped[] = [];
  /** Skipped calls of the plan that is computed now. */
  #computing: Skipped[] = [];
  readonly #remembered = new RememberedGraphs();
  /** Keys of graphs that were seen once. */
  readonly #named = new Set<string>();
  readonly #gradients: Gradients;
  readonly #repetition = new Repetition();

  constructor(gradients: Gradients) {
    this.#gradients = gradients;
  }

  /**
   * Notes a node in the order of recording.
   * @returns values to be computed now, since they would hold too long a graph
   */
  add(node: Node): readonly Value[] {
    const surplus = this.#recorded.length >= MAX_TRACED_NODES ? this.cut() : NONE;
    node.stretch = this.#stretch;
    node.serial = this.#recorded.length;
    this.#recorded.push(node);
    return surplus;
  }

  /**
   * Forgets the nodes recorded so far, which would take too much memory.
   * @param most how many values may be left for a later barrier
   * @returns values to be computed now, where there are more
   */
  cut(most = MAX_HELD_VALUES): readonly Value[] {
    if (this.#skipped.length > 0) return NONE;
    this.#overflow = true;
    const surplus = this.carry(this.held(true), false, most);
    this.#recorded = [];
    this.#stretch = { step: this.#stretch.step, freed: false, taken: [] };
    return surplus;
  }

  /**
   * Returns values that the user may hold, and that can't be computed once parameters have changed: they depend on a
   * parameter, or on values inside a forward. Large values that depend on one left from an earlier step are among them: a
   * program's own averages of weights would hold all steps.
   * @param all whether to include values from before the last barrier
   */
  held(all: boolean): Value[] {
    const held = all ? this.#carried.filter((value) => !value.ready) : [];
    for (const node of this.#recorded) {
      // Nodes of a backward() that was taken over are missing.
      if (node === undefined) continue;
      for (const output of node.outputs)
        if (output.visible && !output.ready && readsInside(node, this.#stretch.step, this.#gradients))
          held.push(output);
    }
    return held;
  }

  /**
   * Discards the recording after an error has ended the current step: the next one begins with nothing recorded.
   * @returns values to be computed now
   */
  interrupt(): readonly Value[] {
    if (this.#skipped.length > 0) return NONE;
    this.#abandoned = [...this.#abandoned, ...this.held(true)];
    const surplus = this.#abandoned.length > MAX_CARRIED_VALUES ? this.takeAbandoned() : NONE;
    this.#carried = [];
    this.end();
    return surplus;
  }

  /** Returns values of steps that errors have ended, and forgets them. */
  takeAbandoned(): Value[] {
    const values = this.#abandoned.filter((value) => !value.ready);
    this.#abandoned = [];
    return values;
  }

  /** Forgets values that can still be computed when they are read. */
  release(values: ReadonlyMap<Value, unknown>): void {
    if (values.size > 0) this.#carried = this.#carried.filter((value) => !values.has(value));
  }

  /**
   * Notes values from before a barrier that the next step must compute: in addition to those noted before (`add`), or
   * instead of them.
   * @returns values to be computed now, where there are too many
   */
  carry(values: readonly Value[], add = false, most = MAX_CARRIED_VALUES): readonly Value[] {
    const before = add ? this.#carried.filter((value) => !value.ready) : [];
    const all = [...before, ...values];
    const fits = all.length <= most;
    this.#carried = fits ? all : [];
    return fits ? NONE : all;
  }

  /** Values to be computed now, where the graph repeats itself so far: see {@link Repetition}. */
  piece(): readonly Value[] {
    return this.#repetition.ends(this.#recorded) ? lastValues(this.#recorded) : NONE;
  }

  /** Ends the graph, which is computed or given up: later nodes belong to another. */
  end(): void {
    this.#repetition.begin();
    this.#recorded = [];
    this.#stretch = { step: this.#stretch.step, freed: false, taken: [] };
    this.#backwards = [];
    this.#computing = this.#skipped;
    this.#skipped = [];
    this.#overflow = false;
    this.#progress = undefined;
  }

  /**
   * Returns the plan of the recorded nodes, if they equal a graph that was named before.
   * @param compiled whether a plan of that name can be run without its nodes
   */
  recognize(request: Request, compiled: (key: string) => boolean): Plan | undefined {
    const plan = this.#overflow ? undefined : (this.#completed(request, compiled) ?? this.#compared(request));
    if (plan === undefined) this.#record();
    return plan;
  }

  /** Keeps a template of a graph that was just named, from its second time on: many graphs never repeat. */
  learn(plan: Plan): void {
    if (this.#overflow || !this.#named.delete(plan.key)) {
      if (this.#named.size >= MAX_NAMED_GRAPHS) this.#named.delete(this.#named.keys().next().value!);
      this.#named.add(plan.key);
      return;
    }
    const template = Template.of(this.#recorded, plan, this.#backwards);
    if (template === undefined) return;
    this.#follow(template, plan);
    this.#remembered.add(template, this.#recorded, plan);
  }

  /** Returns the plan of a step that repeats the predicted one, some of whose nodes may be missing. */
  #completed(request: Request, compiled: (key: string) => boolean): Plan | undefined {
    if (this.#progress === undefined) return undefined;
    const recorded = this.#recorded;
    const { template, numbering, matched } = this.#progress;
    if (recorded.length !== template.length || !compiled(template.key)) return undefined;
    if (!template.matches(numbering, recorded, matched, recorded.length)) return undefined;
    const kept = new Set([...request.lazy, ...request.requested]);
    const plan = template.plan(numbering, request, true);
    if (plan === undefined) return undefined;
    this.#follow(template, plan);
    for (const { results } of this.#skipped)
      for (const [, value] of results)
        if (value.producer.kind === "node" && !kept.has(value)) value.read = released;
    return plan;
  }

  /** Notes which training step follows which. */
  #follow(template: Template, { assigns }: Plan): void {
    if (assigns.length === 0) return;
    if (this.#latest !== undefined) this.#latest.next = template;
    this.#latest = template;
  }

  /** Compares a completely recorded graph with those remembered. */
  #compared(request: Request): Plan | undefined {
    const found = this.#skipped.length > 0 ? undefined : this.#remembered.find(this.#recorded, request);
    if (found === undefined) return undefined;
    this.#follow(found.template, found.plan);
    return found.plan;
  }

  /**
   * Takes a `backward()` over from the step before, if everything up to it was recorded as in that step.
   * @param run records the `backward()` if that turns out to be necessary
   * @param frees whether no gradient may pass through the graph after it
   * @param compiled see {@link recognize}
   * @returns for each leaf a stand-in for its gradient; undefined where the `backward()` must be recorded
   */
  repeatBackward(
    root: Value,
    run: Skipped["run"],
    frees: boolean,
    compiled: (key: string) => boolean,
  ): Skipped["results"] | undefined {
    const recorded = this.#recorded;
    const predicted = this.#progress?.template ?? this.#latest?.next;
    if (this.#overflow || predicted === undefined || predicted.failures >= MAX_VAIN_ATTEMPTS)
      return undefined;
    if (!compiled(predicted.key)) return undefined;
    const start = recorded.length;
    const pattern = predicted.backwards.find((b) => b.start === start);
    if (pattern === undefined) return undefined;
    const progress = (this.#progress ??= {
      template: predicted,
      numbering: new Numbering(recorded),
      matched: 0,
    });
    const { numbering } = progress;
    if (!predicted.matches(numbering, recorded, progress.matched, start)) return this.#giveUp();
    if (numbering.code(root) !== pattern.root || numbering.leaves.length !== pattern.firstLeaf)
      return this.#giveUp();
    if (!predicted.fits(numbering, true, false)) return this.#giveUp();
    if (this.#isRefused(pattern, numbering)) return this.#giveUp();
    const leaves: GraphTensor[] = [];
    for (const { storage, serial, input } of pattern.results) {
      const leaf = recorded[serial]?.edges?.[input]?.leaf;
      if (leaf === undefined || leaf.storage?.id !== storage || leaf.ownGrad !== null) return this.#giveUp();
      leaves.push(leaf);
    }
    for (const leaf of pattern.leaves) numbering.meet(leaf);
    recorded.length = pattern.end;
    const results = pattern.results.map(({ gradient, shape, dtype }, i): readonly [GraphTensor, Value] => [
      leaves[i]!,
      gradient < 0 ? numbering.leaves[-gradient - 1]! : this.#standIn(place(gradient), shape, dtype),
    ]);
    progress.matched = pattern.end;
    const stretch = this.#stretch;
    if (frees) stretch.taken.push(pattern.forward);
    this.#skipped.push({ results, run, stretch });
    return results;
  }

  /** Whether the gradients must not be computed: recording them throws the reason. */
  #isRefused({ forward, saved }: BackwardPattern, { leaves }: Numbering): boolean {
    const recorded = this.#recorded;
    for (const code of saved) {
      const { serial, index } = place(code);
      const value = code < 0 ? leaves[-code - 1] : recorded[serial]?.outputs[index];
      if (value !== undefined && isStale(value)) return true;
    }
    for (const serial of forward) {
      const node = recorded[serial];
      if (node?.saved?.some((value) => isStaleFor(value, node)) === true) return true;
    }
    const { freed, taken } = this.#stretch;
    if (!freed && taken.length === 0) return false;
    for (const serial of forward)
      if (recorded[serial]?.freed === true || taken.some((one) => one.has(serial))) return true;
    return false;
  }

  /** Notes a `backward()` that was recorded from `start` on, for leaves that had no gradient before. */
  noteBackward(start: number, root: Value, results: Skipped["results"]): void {
    const recorded = this.#recorded;
    const stale: Value[] = [];
    for (let i = start; i < recorded.length; i++)
      for (const input of recorded[i]!.inputs) if (isStale(input)) stale.push(input);
    this.#backwards.push({ start, end: this.#recorded.length, root, results, stale });
  }

  /** Nodes recorded so far. */
  get length(): number {
    return this.#recorded.length;
  }

  /** Whether a pending node or value has this value as an input: of this step, or from before a barrier. */
  isRead(value: Value): boolean {
    return (
      value.wasInput &&
      (this.#recorded.some((node) => node.inputs.includes(value)) ||
        isAmongInputs(value, [...this.#carried, ...this.#abandoned]))
    );
  }

  /** Current values of storages that a gradient may still need: inputs of recorded nodes that have gradients. */
  overwritten(storages: ReadonlySet<Storage>): Value[] {
    return overwritten(this.#recorded, storages);
  }

  /** See {@link readLater}. */
  readLater(written: readonly Value[]): Value[] {
    return readLater(this.#recorded, written);
  }

  /** Whether a value stands for a gradient of a `backward()` that was taken over. */
  isStandIn(value: Value): boolean {
    return this.#skipped.some(({ results }) => results.some((result) => result[1] === value));
  }

  /** Records skipped calls after all, if a leaf that isn't updated now has its gradient from them, for later use. */
  recordReached(requested: readonly Value[], written: ReadonlySet<GraphTensor>): void {
    for (const { results } of this.#skipped)
      for (const [leaf, value] of results) {
        if (written.has(leaf) || requested.includes(value)) continue;
        if (leaf.ownGrad?.value === value) return this.#record();
      }
  }

  /** Records skipped calls after all, where more than their results is needed. */
  #record(): void {
    const skipped = this.#skipped;
    if (skipped.length === 0) return;
    this.#skipped = [];
    this.#progress!.template.failures++;
    this.#progress = undefined;
    recordAll(skipped);
    // The nodes have other positions than before.
    this.#overflow = true;
  }

  /** Whether nodes with gradients are recorded that are not computed yet. */
  isInForward(): boolean {
    return (
      this.#carried.length > 0 || this.#recorded.findLast((node) => node?.edges !== undefined) !== undefined
    );
  }

  /** Notes that a plan was computed, a step if it `writes`: its graph is no longer needed. */
  computed(writes: boolean): void {
    this.#computing = [];
    if (writes) this.#stretch.step++;
  }

  /** Notes that the plan was refused: records its skipped calls, so that gradients are the same without it. */
  refused(): void {
    const taken = [...this.#computing, ...this.#skipped];
    this.end();
    recordAll(taken);
    this.end();
    this.#computing = [];
  }

  /** Stops following the predicted step, unless a part of it was taken over: then the barrier decides. */
  #giveUp(): undefined {
    if (this.#skipped.length === 0) this.#progress = undefined;
  }

  /** Makes a stand-in for an output of a node that was not recorded. */
  #standIn(
    { serial, index }: { serial: number; index: number },
    shape: Value["shape"],
    dtype: Value["dtype"],
  ): Value {
    let node = this.#recorded[serial];
    if (node === undefined) {
      node = new Node(STAND_IN, {}, [], [], undefined);
      node.serial = serial;
      this.#recorded[serial] = node;
    }
    const value = new Value(node, index, shape, dtype);
    // As for recorded gradients: kept for its tensor, not fetched.
    value.visible = false;
    return value;
  }
}

const NONE: readonly Value[] = [];
