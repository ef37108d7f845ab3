import type { GraphTensor, Leaf, Node, Value } from "./graph.ts";
import { sameShape } from "../core/shape.ts";
import type { Plan, Request } from "../planning/executor.ts";

/** A call of `backward()`: the nodes it recorded, and the gradients it gave to leaves that had none. */
export interface Backward {
  readonly start: number;
  readonly end: number;
  readonly root: Value;
  readonly results: readonly (readonly [leaf: GraphTensor, gradient: Value])[];
  /** Values that it needs although they were overwritten, by the functions that use them. */
  readonly stale: readonly Value[];
}

/** Maximum number of outputs of a node here. */
const OUTPUTS = 64;
/** The code of a value that was recorded before the last barrier, and not computed by it. */
const FOREIGN = 0;

/** Numbers values by their origin: outputs by their node's position, leaves in the order in which they are met. */
export class Numbering {
  /** Marks of values numbered here lie above it, those of earlier numberings below. */
  static #last = 0;
  readonly leaves: Value[] = [];
  readonly #base = Numbering.#last;
  readonly #nodes: readonly Node[];

  constructor(nodes: readonly Node[]) {
    this.#nodes = nodes;
  }

  /** Returns a value's code: above 0 for an output of a recorded node, below 0 for a leaf. */
  code(value: Value): number {
    const { producer } = value;
    if (producer.kind === "node" && !value.ready && value.retained === undefined) {
      if (this.#nodes[producer.serial] !== producer) return FOREIGN;
      return producer.serial * OUTPUTS + value.index + 1;
    }
    return value.mark > this.#base ? this.#base - value.mark : this.meet(value);
  }

  /** Numbers what a barrier asks for, after the nodes. */
  request({ requested, assigns, lazy, held }: Request): void {
    for (const value of requested) this.code(value);
    for (const { value } of assigns) this.code(value);
    for (const value of lazy) this.code(value);
    for (const value of held) this.code(value);
  }

  /** Gives a leaf the next number. */
  meet(value: Value): number {
    this.leaves.push(value);
    Numbering.#last = value.mark = this.#base + this.leaves.length;
    return -this.leaves.length;
  }
}

/** Decodes the code of an output. */
export const place = (code: number): { serial: number; index: number } => ({
  serial: Math.floor((code - 1) / OUTPUTS),
  index: (code - 1) % OUTPUTS,
});

interface Step {
  readonly op: Node["op"];
  readonly attributes: object;
  readonly inputs: readonly number[];
  /** Bits: the outputs that the user may read later; `wanting` has the inputs that need a gradient. */
  readonly visible: number;
  readonly wanting: number;
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
  readonly #steps: readonly Step[];
  readonly #leaves: readonly LeafPattern[];
  readonly #usedLeaves: ReadonlySet<number>;
  readonly #codes: Codes;
  /** Ids of the storages that it writes. */
  readonly #storages: readonly number[];
  readonly #order: readonly number[];

  private constructor(
    steps: readonly Step[],
    leaves: readonly Value[],
    codes: Codes,
    plan: Plan,
    backwards: readonly BackwardPattern[],
  ) {
    this.graph = plan.graph;
    this.key = plan.key;
    this.length = steps.length;
    this.backwards = backwards;
    this.#steps = steps;
    this.#leaves = leaves.map(pattern);
    this.#usedLeaves = new Set(codes.used.map((code) => -code - 1));
    this.#codes = codes;
    this.#storages = plan.assigns.map(({ storage }) => storage.id);
    this.#order = plan.nodes.map((n) => n.serial);
  }

  /** Makes a template; undefined for a graph that reaches back beyond the last barrier. */
  static of(nodes: readonly Node[], plan: Plan, backwards: readonly Backward[]): Template | undefined {
    const numbering = new Numbering(nodes);
    const code = (v: Value): number => numbering.code(v);
    const met: number[] = [];
    const computed = new Set(plan.nodes);
    const steps = nodes.map((node): Step => {
      met.push(numbering.leaves.length);
      const { op, attributes } = node;
      return {
        op,
        attributes,
        inputs: node.inputs.map(code),
        visible: visibleOutputs(node),
        wanting: wantingInputs(node),
        used: computed.has(node),
      };
    });
    met.push(numbering.leaves.length);
    const codes: Codes = {
      requested: plan.requested.map(code),
      assigned: plan.assigns.map((a) => code(a.value)),
      lazy: plan.lazy.map(code),
      held: plan.held.map(code),
      used: plan.leaves.map(code),
      fetched: plan.fetches.map(code),
    };
    const foreign = (list: readonly number[]): boolean => list.includes(FOREIGN);
    if (steps.some((s) => foreign(s.inputs)) || Object.values(codes).some(foreign)) return undefined;
    if (nodes.some((n) => Math.max(n.outputs.length, n.inputs.length) > 30)) return undefined;
    const patterns: BackwardPattern[] = [];
    for (const { start, end, root, results, stale } of backwards) {
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
    return new Template(steps, numbering.leaves, codes, plan, patterns);
  }

  /**
   * Whether the nodes from `from` to `to` are recorded as before.
   * @param whole whether those are, too, whose values the plan doesn't need: a program may compute what it never looks at, of a batch
   *   that was another one. A `backward()` that is taken over needs all: the gradient of a sum that is not read has its input's shape.
   */
  matches(numbering: Numbering, nodes: readonly Node[], from: number, to: number, whole: boolean): boolean {
    for (let i = from; i < to; i++) {
      const step = this.#steps[i];
      const node = nodes[i]!;
      if (step === undefined) return false;
      const { inputs } = node;
      if (inputs.length !== step.inputs.length) return false;
      for (let j = 0; j < inputs.length; j++) if (numbering.code(inputs[j]!) !== step.inputs[j]) return false;
      if (!whole && !step.used) continue;
      if (node.op !== step.op || visibleOutputs(node) !== step.visible) return false;
      if (wantingInputs(node) !== step.wanting || !sameAttributes(node.attributes, step.attributes))
        return false;
    }
    return true;
  }

  /**
   * Whether the leaves are such as before.
   * @param whole as for {@link matches}
   * @param complete whether they are all that the graph reads
   */
  fits({ leaves }: Numbering, whole: boolean, complete = true): boolean {
    const { length } = this.#leaves;
    if (complete ? leaves.length !== length : leaves.length > length) return false;
    for (let i = 0; i < leaves.length; i++)
      if ((whole || this.#usedLeaves.has(i)) && !fits(leaves[i]!, this.#leaves[i]!)) return false;
    return true;
  }

  /** Returns the plan of nodes that match and leaves that fit, if the same values are requested. */
  plan(numbering: Numbering, nodes: readonly Node[], request: Request): Plan | undefined {
    const codes = this.#codes;
    const { requested, assigns, lazy } = request;
    if (assigns.length !== this.#storages.length) return undefined;
    for (let i = 0; i < assigns.length; i++) {
      const { storage, value } = assigns[i]!;
      if (this.#storages[i] !== storage.id) return undefined;
      if (numbering.code(value) !== codes.assigned[i]) return undefined;
    }
    if (!sameCodes(numbering, requested, codes.requested)) return undefined;
    if (!sameCodes(numbering, lazy, codes.lazy)) return undefined;
    if (!sameCodes(numbering, request.held, codes.held)) return undefined;
    const { leaves } = numbering;
    const value = (code: number): Value => {
      if (code < 0) return leaves[-code - 1]!;
      const { serial, index } = place(code);
      // A placeholder of an unrecorded output is among the requested values.
      return nodes[serial]!.outputs[index] ?? requested[codes.requested.indexOf(code)]!;
    };
    return {
      graph: this.graph,
      key: this.key,
      nodes: this.#order.map((serial) => nodes[serial]!),
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

function visibleOutputs({ outputs }: Node): number {
  let bits = 0;
  for (let i = 0; i < outputs.length; i++) if (outputs[i]!.visible) bits |= 1 << i;
  return bits;
}

function wantingInputs({ edges }: Node): number {
  let bits = 0;
  if (edges !== undefined) for (let i = 0; i < edges.length; i++) if (edges[i] !== undefined) bits |= 1 << i;
  return bits;
}

/** Leaf properties encoded in the plan key, and the id of the storage that a state is read from. */
interface LeafPattern {
  readonly kind: Leaf["kind"] | "node";
  readonly shape: Value["shape"];
  readonly dtype: Value["dtype"];
  readonly materialized: boolean;
  readonly fill: number | undefined;
  readonly varying: boolean;
  readonly storage: number | undefined;
}

function pattern(value: Value): LeafPattern {
  const { producer, shape, dtype } = value;
  return {
    kind: producer.kind,
    shape,
    dtype,
    materialized: value.ready,
    fill: producer.kind === "fill" ? producer.value : undefined,
    varying: producer.kind === "scalar" && producer.varying,
    storage: producer.kind === "state" ? producer.storage.id : undefined,
  };
}

function fits(value: Value, p: LeafPattern): boolean {
  const { producer } = value;
  if (producer.kind !== p.kind || value.dtype !== p.dtype || !sameShape(value.shape, p.shape)) return false;
  switch (producer.kind) {
    case "fill":
      return Object.is(producer.value, p.fill) && value.ready === p.materialized;
    case "scalar":
      return producer.varying === p.varying;
    case "state":
      return (
        p.storage === producer.storage.id &&
        producer.version === producer.storage.version &&
        value.ready === p.materialized
      );
    case "data":
    case "random":
    case "node":
      return true;
  }
}

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
