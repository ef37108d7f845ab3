import type { GraphTensor, Node, Value } from "../graph.ts";
import { fits, pattern, type LeafPattern } from "./leafPattern.ts";
import type { Plan, Request } from "../../planning/executor.ts";
import { Numbering, OUTPUTS, place } from "./numbering.ts";

/** A call of `backward()`: the nodes it recorded, and the gradients it gave to leaves that had none. */
export interface Backward {
  readonly start: number;
  readonly end: number;
  readonly root: Value;
  readonly results: readonly (readonly [leaf: GraphTensor, gradient: Value])[];
  /** Values that it needs although they were overwritten, by the functions that use them. */
  readonly stale: readonly Value[];
}

interface Step {
  readonly op: Node["op"];
  readonly attributes: object;
  readonly inputs: readonly number[];
  /** The outputs that the user may read later, as {@link bits}; `wanting` has the inputs that need a gradient. */
  readonly visible: number | string;
  readonly wanting: number | string;
  /** Whether the plan computes it. */
  readonly used: boolean;
}

/** A call of `backward()` that can be taken over as a whole. */
export interface BackwardPattern {
  readonly start: number;
  readonly end: number;
  readonly root: number;
  /** Serials of the nodes through which gradients pass. */
  readonly forward: ReadonlySet<number>;
  /** Values of the forward part that gradients are computed from. */
  readonly saved: readonly number[];
  /** Number, from 0, of the first of `leaves`, which the graph reads here for the first time. */
  readonly firstLeaf: number;
  readonly leaves: readonly Value[];
  readonly results: readonly ResultPattern[];
}

interface ResultPattern {
  /** Id of the leaf's storage. A `WeakRef` would keep the leaf until the job ends, which is a program's whole loop. */
  readonly storage: number;
  /** An input by which the forward part reads the leaf. */
  readonly serial: number;
  readonly input: number;
  readonly gradient: number;
  readonly shape: Value["shape"];
  readonly dtype: Value["dtype"];
}

type Codes = Record<"requested" | "assigned" | "lazy" | "held" | "used" | "fetched", readonly number[]>;

/** A graph that was named before, in the order of its recording. */
export class Template {
  readonly graph: string;
  readonly key: string;
  readonly length: number;
  readonly backwards: readonly BackwardPattern[];
  /** Template of the step that followed it last: the generator's step follows the discriminator's. */
  next: Template | undefined;
  /** Number of vain takeovers of its backward(). */
  failures = 0;
  /** Whether the plan needs all of its nodes. */
  readonly isWhole: boolean;
  readonly #steps: readonly Step[];
  /** Its nodes from before the last barrier. */
  readonly #earlier: readonly Step[];
  readonly #leaves: readonly LeafPattern[];
  readonly #usedLeaves: ReadonlySet<number>;
  readonly #codes: Codes;
  /** Ids of the storages that it writes. */
  readonly #storages: readonly number[];
  readonly #order: readonly number[];

  private constructor(
    steps: readonly Step[],
    earlier: readonly Step[],
    numbering: Numbering,
    codes: Codes,
    plan: Plan,
    backwards: readonly BackwardPattern[],
  ) {
    this.graph = plan.graph;
    this.key = plan.key;
    this.length = steps.length;
    this.backwards = backwards;
    this.isWhole = steps.every(({ used }) => used);
    this.#steps = steps;
    this.#earlier = earlier;
    this.#leaves = numbering.leaves.map(pattern);
    this.#usedLeaves = new Set(codes.used.map((code) => -code - 1));
    this.#codes = codes;
    this.#storages = plan.assigns.map(({ storage }) => storage.id);
    this.#order = plan.nodes.map((n) => numbering.position(n));
  }

  /** Makes a template; undefined for a graph with a node of too many outputs. */
  static of(nodes: readonly Node[], plan: Plan, backwards: readonly Backward[]): Template | undefined {
    const numbering = new Numbering(nodes);
    const code = (v: Value): number => numbering.code(v);
    const met: number[] = [];
    const computed = new Set(plan.nodes);
    const stepOf = (node: Node): Step => {
      const { op, attributes } = node;
      return {
        op,
        attributes,
        inputs: node.inputs.map(code),
        visible: visibleOutputs(node),
        wanting: wantingInputs(node),
        used: computed.has(node),
      };
    };
    const steps = nodes.map((node): Step => {
      met.push(numbering.leaves.length);
      return stepOf(node);
    });
    met.push(numbering.leaves.length);
    // In the order in which `plan` compares them: it numbers values that are met for the first time alike.
    const asked = {
      requested: plan.requested.map(code),
      assigned: plan.assigns.map((a) => code(a.value)),
      lazy: plan.lazy.map(code),
      held: plan.held.map(code),
    };
    const earlier = numbering.earlier.map(stepOf);
    const codes: Codes = { ...asked, used: plan.leaves.map(code), fetched: plan.fetches.map(code) };
    if ([...nodes, ...numbering.earlier].some((n) => n.outputs.length > OUTPUTS)) return undefined;
    const patterns: BackwardPattern[] = [];
    // What a gradient needs of an earlier graph may change between.
    for (const { start, end, root, results, stale } of earlier.length > 0 ? [] : backwards) {
      const firstLeaf = met[start]!;
      const leaves = numbering.leaves.slice(firstLeaf, met[end]);
      const found = results.map((result) => resultPattern(nodes, start, result, code));
      // States change from step to step, and drawn numbers differ each time.
      const constant = leaves.every(
        ({ producer: { kind }, retained }) => kind !== "state" && kind !== "random" && retained === undefined,
      );
      const forward = forwardOf(nodes, root);
      if (!constant || found.includes(undefined) || forward === undefined) break;
      const all = found as ResultPattern[];
      const saved = new Set<number>();
      for (const { inputs } of nodes.slice(start, end))
        for (const value of inputs) {
          const input = code(value);
          const before = input > 0 ? place(input).serial < start : -input <= firstLeaf;
          if (before && !stale.includes(value)) saved.add(input);
        }
      const [pattern, at] = [{ start, end, firstLeaf, leaves, results: all }, code(root)];
      patterns.push({ ...pattern, root: at, forward, saved: [...saved] });
    }
    return new Template(steps, earlier, numbering, codes, plan, patterns);
  }

  /**
   * Whether the nodes from `from` to `to` are recorded as before, also those whose values the plan doesn't need: the gradient of a sum
   * that is not read has its input's shape.
   */
  matches(numbering: Numbering, nodes: readonly Node[], from: number, to: number): boolean {
    for (let i = from; i < to; i++) if (!isRepeated(nodes[i]!, this.#steps[i], numbering)) return false;
    return true;
  }

  /**
   * The first position from `from` on of a node that isn't recorded as before, or reads a leaf that is another; their number if there is
   * none. Nodes whose values the plan doesn't need may be others: a program may compute what it never looks at, of a batch that was
   * another one.
   */
  firstDifference(numbering: Numbering, nodes: readonly Node[], from: number): number {
    for (let i = from; i < nodes.length; i++)
      if (!isRepeated(nodes[i]!, this.#steps[i], numbering, this.#leaves)) return i;
    return nodes.length;
  }

  /**
   * Whether the leaves are such as before.
   * @param whole whether those are, too, which only nodes read whose values the plan doesn't need
   * @param complete whether they are all that the graph reads
   */
  fits({ leaves }: Numbering, whole: boolean, complete = true): boolean {
    const { length } = this.#leaves;
    if (complete ? leaves.length !== length : leaves.length > length) return false;
    for (let i = 0; i < leaves.length; i++)
      if ((whole || this.#usedLeaves.has(i)) && !fits(leaves[i]!, this.#leaves[i]!)) return false;
    return true;
  }

  /**
   * Returns the plan, if all nodes match and the same values are requested.
   * @param whole as for {@link fits}
   */
  plan(numbering: Numbering, request: Request, whole: boolean): Plan | undefined {
    const codes = this.#codes;
    const { requested, assigns, lazy } = request;
    if (assigns.length !== this.#storages.length) return undefined;
    if (!sameCodes(numbering, requested, codes.requested)) return undefined;
    for (let i = 0; i < assigns.length; i++) {
      const { storage, value } = assigns[i]!;
      if (this.#storages[i] !== storage.id) return undefined;
      if (numbering.code(value) !== codes.assigned[i]) return undefined;
    }
    if (!sameCodes(numbering, lazy, codes.lazy)) return undefined;
    if (!sameCodes(numbering, request.held, codes.held)) return undefined;
    const { leaves, earlier } = numbering;
    if (earlier.length !== this.#earlier.length) return undefined;
    for (let i = 0; i < earlier.length; i++)
      if (!isRepeated(earlier[i]!, this.#earlier[i], numbering, whole ? undefined : this.#leaves))
        return undefined;
    if (!this.fits(numbering, whole)) return undefined;
    const value = (code: number): Value => {
      if (code < 0) return leaves[-code - 1]!;
      const { serial, index } = place(code);
      // A placeholder of an unrecorded output is among the requested values.
      return numbering.nodeAt(serial)!.outputs[index] ?? requested[codes.requested.indexOf(code)]!;
    };
    return {
      graph: this.graph,
      key: this.key,
      nodes: this.#order.map((position) => numbering.nodeAt(position)!),
      leaves: codes.used.map(value),
      fetches: codes.fetched.map(value),
      ...request,
    };
  }
}

/** Serials of the nodes that a value's gradient passes through; undefined where some are from before the barrier. */
function forwardOf(nodes: readonly Node[], root: Value): ReadonlySet<number> | undefined {
  const found = new Set<number>();
  const stack = root.producer.kind === "node" ? [root.producer] : [];
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    if (found.has(node.serial)) continue;
    if (nodes[node.serial] !== node) return undefined;
    found.add(node.serial);
    for (const edge of node.edges ?? []) if (edge?.node !== undefined) stack.push(edge.node);
  }
  return found;
}

/** Undefined if the forward part itself doesn't read the leaf, or the leaf doesn't live from step to step. */
function resultPattern(
  nodes: readonly Node[],
  start: number,
  [leaf, gradient]: readonly [GraphTensor, Value],
  code: (value: Value) => number,
): ResultPattern | undefined {
  const storage = leaf.storage?.id;
  if (storage === undefined) return undefined;
  for (let serial = 0; serial < start; serial++) {
    const input = nodes[serial]!.edges?.findIndex((edge) => edge?.leaf === leaf) ?? -1;
    if (input < 0) continue;
    const { shape, dtype } = gradient;
    return { storage, serial, input, gradient: code(gradient), shape, dtype };
  }
  return undefined;
}

function sameCodes(numbering: Numbering, values: readonly Value[], codes: readonly number[]): boolean {
  if (values.length !== codes.length) return false;
  for (let i = 0; i < values.length; i++) if (numbering.code(values[i]!) !== codes[i]) return false;
  return true;
}

/**
 * Whether a node is recorded as before.
 * @param leaves what its leaves must be like, where the plan needs its values; where it doesn't, the node may be another then
 */
function isRepeated(
  node: Node,
  step: Step | undefined,
  numbering: Numbering,
  leaves?: readonly LeafPattern[],
): boolean {
  if (step === undefined) return false;
  const { inputs } = node;
  if (inputs.length !== step.inputs.length) return false;
  for (let j = 0; j < inputs.length; j++) {
    const code = numbering.code(inputs[j]!);
    if (code !== step.inputs[j]) return false;
    if (code < 0 && leaves !== undefined && step.used && !fits(inputs[j]!, leaves[-code - 1]!)) return false;
  }
  if (leaves !== undefined && !step.used) return true;
  if (node.op !== step.op || visibleOutputs(node) !== step.visible) return false;
  return wantingInputs(node) === step.wanting && sameAttributes(node.attributes, step.attributes);
}

/** Bits of a number: more are a text, as of the gradients that are joined to compute their norm. */
const MAX_BITS = 30;

/** Which elements of a list fulfil a condition. */
function bits<T>(list: readonly T[], holds: (one: T) => boolean): number | string {
  if (list.length > MAX_BITS) return list.map((one) => (holds(one) ? 1 : 0)).join("");
  let found = 0;
  for (let i = 0; i < list.length; i++) if (holds(list[i]!)) found |= 1 << i;
  return found;
}

const visibleOutputs = ({ outputs }: Node): number | string => bits(outputs, isVisible);
const isVisible = ({ visible }: Value): boolean => visible;

const wantingInputs = ({ edges }: Node): number | string => (edges === undefined ? 0 : bits(edges, isThere));
const isThere = (edge: unknown): boolean => edge !== undefined;

function sameAttributes(a: object, b: object): boolean {
  const x = a as Readonly<Record<string, unknown>>;
  const y = b as Readonly<Record<string, unknown>>;
  for (const name in x) if (!sameValue(x[name], y[name])) return false;
  for (const name in y) if (!(name in x)) return false;
  return true;
}

function sameValue(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a)) {
    if (!Array.isArray(b) || a.length !== b.length) return false;
    return a.every((x, i) => sameValue(x, b[i]));
  }
  return sameAttributes(a, b);
}
