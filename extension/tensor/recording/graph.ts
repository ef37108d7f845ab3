import { beyond32Bits } from "../core/errors.ts";
import type { DType, HostArray } from "../core/dtype.ts";
import type { Meta } from "../core/meta.ts";
import type { AnyOp, Op } from "./nodeOp.ts";
import type { Shape } from "../core/shape.ts";
import type { MemoryVersion } from "./memoryVersion.ts";

/** Message of an error that is created only for its stack frames. */
export const SITE = "site";

/** Recording of a function of one sample, whose ops are recorded again for the whole batch: see `vmap`. */
export interface SampleRecording {
  /** The recording that `vmap` was called in, if it was. */
  readonly outer: SampleRecording | undefined;
  has(value: Value): boolean;
  /** Whether this recording or one around it has the value: no barrier computes it. */
  includes(value: Value): boolean;
  /** Records a node of one sample: no barrier computes it. */
  add(
    op: AnyOp,
    attributes: object,
    inputs: readonly Value[],
    outputs: Meta | readonly Meta[],
    edges: readonly (GradientEdge | undefined)[] | undefined,
  ): Node;
  /** Notes a tensor that the function makes: it may write to it. */
  own(tensor: object): void;
  /** Ends the recording if code reads a value of this recording or an outer one: it differs between samples. */
  checkRead(value: Value): void;
  /** Ends the recording if the function writes to an outer tensor. */
  checkWrite(tensor: object): void;
  /** Ends the recording: the function is called for each sample. */
  refuse(): never;
}

/** State of the recording: set by module calls, backward and optimizers, read when a node is made. */
export const scope = {
  /** Dotted path of the innermost module whose forward is running; "" outside. */
  path: "",
  /** 0 in the user's own loop; more inside a module, a loss, backward or an optimizer. */
  depth: 0,
  /** How many of those levels are the library's own work: 0 in the user's loop, and in a forward. */
  hidden: 0,
  /** False under `noGrad`. */
  gradients: true,
  /** Whether nodes keep the stack of the call that made them: in the preview, and during a run's first steps. */
  sites: false,
  /** The node whose gradient is being recorded, while sites are kept. */
  forward: undefined as Node | undefined,
  /** The user's call that the next nodes belong to, where another call records them. */
  site: undefined as Error | undefined,
  /** The innermost function of one sample that is being recorded. */
  sample: undefined as SampleRecording | undefined,
  /** Called with every recorded node: a summary counts them. */
  onNode: undefined as ((node: Node) => void) | undefined,
  /** Called with every node of one sample that `vmap` records; `onNode` gets those of the batch, which have its site. */
  onSample: undefined as ((node: Node) => void) | undefined,
  /** Called before each module's `forward`. The returned function is called with the output. */
  onCall: undefined as ((module: object, input: readonly unknown[]) => (output: unknown) => void) | undefined,
};

/**
 * A value that lives from step to step: a parameter, a buffer, an optimizer's moment. The executor keeps its current value
 * (`device`), the host has a copy only when one was read.
 */
export class Storage {
  static #count = 0;
  readonly id = Storage.#count++;
  /** Increases with every write: values of older versions are gone. */
  version = 0;
  host: HostArray | undefined;
  /** The executor's record of where the value is. */
  device: object | undefined;
  /** Whether each process of a group may keep a term of the value, which is their sum: accumulated gradients. */
  addsUp = false;
  /** The value as of `version`. */
  settled: Value | undefined;
  readonly shape: Shape;
  readonly dtype: DType;

  constructor(shape: Shape, dtype: DType) {
    scope.sample?.refuse();
    this.shape = shape;
    this.dtype = dtype;
  }
}

/** Random numbers with a place in the generator's order, which may not be drawn yet. */
export interface Draw {
  /** Returns the numbers. Makes all draws that come before in program order. */
  values(): HostArray;
  /** Notes that one more place holds these numbers: a copy of a parameter. */
  share(): void;
  /** Notes that a place now holds other numbers. */
  abandon(): void;
}

/** The graph's interface to tensors, of which `Tensor`, a layer above, is the only implementation. */
export interface GraphTensor {
  readonly storage: Storage | undefined;
  /** Its value, which follows that of a view's base. */
  readonly value: Value;
  /** The stored value, without following a base: undefined when that was written to since. */
  readonly still: Value | undefined;
  /** Its `.grad`. */
  readonly ownGrad: GraphTensor | null;
  /** Notes that the storage holds the value of the last barrier. */
  settled(storage: Storage): void;
  /** Undoes a write that could not be computed. */
  revert(): void;
  /** Releases the graph that its value comes from. */
  dropGraph(): void;
}

/** Where a value comes from when no op of the table produced it. */
export type Leaf =
  | { readonly kind: "data" }
  /** A number; `varying` ones (learning rates) are inputs of a compiled graph, the others constants of it. */
  | {
      readonly kind: "scalar";
      readonly value: number;
      readonly varying: boolean;
    }
  /** One number everywhere: zeros, ones, full. Allocated only when it is read. */
  | { readonly kind: "fill"; readonly value: number }
  | { readonly kind: "random"; readonly draw: Draw }
  /** A storage as it was at `version`; `initial` is its value before anything was written to it. */
  | {
      readonly kind: "state";
      readonly storage: Storage;
      readonly version: number;
      readonly initial: Value | undefined;
    };

const DATA: Leaf = { kind: "data" };

/** Where a gradient goes: to the op that produced the value, or into the `.grad` of a leaf tensor. */
export type GradientEdge =
  | {
      readonly node: Node;
      readonly index: number;
      /** PyTorch's name of the gradient, where several ops make up one function. */
      readonly name?: string | undefined;
      readonly leaf?: undefined;
    }
  | { readonly leaf: GraphTensor; readonly node?: undefined };

/** Array.isArray, for readonly arrays too. */
export const isList = (x: Meta | readonly Meta[]): x is readonly Meta[] => Array.isArray(x);

/** The part of the recording between two barriers. */
export interface Stretch {
  /** Number of steps computed before it: see `Trace.computed`. */
  step: number;
  /** Whether a `backward()` has freed nodes of it. */
  freed: boolean;
  /** Serials of nodes freed by each `backward()` that was taken over from the step before. */
  readonly taken: ReadonlySet<number>[];
}

/** One op applied to values: recorded, not computed. */
export class Node {
  readonly kind = "node";
  /** Position among the nodes recorded since the last barrier: see trace.ts. */
  serial = -1;
  /** Mark of the last plan that has visited it: see plan.ts. */
  planned = 0;
  /** Number of the last walk back through the graph that has visited it: see walk.ts. */
  walk = 0;
  /** Profile of the plan that has computed it; `computedAs` is its position there: see savedValues.ts. */
  computedBy: object | undefined = undefined;
  computedAs = 0;
  /** Whether a gradient has passed through it and freed the values that another would need: see `retainGraph`. */
  freed = false;
  /** Values that PyTorch's gradient of the whole function needs, where its last node does not. */
  saved: readonly Value[] | undefined = undefined;
  /** State that the trace shares between the nodes of a stretch. */
  stretch: Stretch | undefined = undefined;
  readonly outputs: readonly Value[];
  /** Dotted path of the module whose forward recorded this node. */
  readonly module = scope.path;
  /** The user's call, kept while `scope.sites` is on. */
  readonly site = scope.site ?? (scope.sites ? new Error(SITE) : undefined);
  /** The node whose gradient this node belongs to, kept likewise. */
  readonly forward = scope.forward;
  /** Per input, where its gradient goes; undefined when no input wants one. */
  readonly edges: readonly (GradientEdge | undefined)[] | undefined;
  /** Takes these attributes: see {@link AnyOp}. */
  readonly op: Op<object>;
  readonly attributes: object;
  readonly inputs: readonly Value[];

  constructor(
    op: AnyOp,
    attributes: object,
    inputs: readonly Value[],
    outputs: Meta | readonly Meta[],
    edges: readonly (GradientEdge | undefined)[] | undefined,
  ) {
    // The only place where an op loses the type of its attributes, which the node keeps beside it.
    this.op = op as unknown as Op<object>;
    this.attributes = attributes;
    this.inputs = inputs;
    for (const input of inputs) input.wasInput = true;
    this.edges = edges;
    this.outputs = isList(outputs)
      ? outputs.map((m, i) => new Value(this, i, m.shape, m.dtype))
      : [new Value(this, 0, outputs.shape, outputs.dtype)];
    scope.onNode?.(this);
  }
}

/** Brings a value from the executor's side to the host. */
export interface Reader {
  (): HostArray;
  /** Whether several values have it: it works also after one of them was released. */
  shared?: boolean;
}

/** One output of a node, or a leaf. `data` is set once it was computed and brought to the host. */
export class Value {
  data: HostArray | undefined;
  /** Reads a result that is still on the executor's side; replaced by an error once its step is over. */
  read: Reader | undefined;
  /** Reads a result that the executor keeps for later plans. For the program, the value is still to be computed: see savedValues.ts. */
  retained: Reader | undefined;
  /** Whether the user's own loop recorded it, outside any forward: its step computes it, as code may read it later. */
  visible = scope.depth === 0;
  /** Number of tensors that may have it. */
  holders = 0;
  /** Bytes of the values that it is made of, along one way back to computed ones, but for forwards and what gradients need. */
  pendingBytes = 0;
  /** Whether a recorded node reads it. */
  wasInput = false;
  /** Number of values made so far; `made` is this one's number. */
  static made = 0;
  readonly made = ++Value.made;
  /** Mark of the last numbering that has met it: see templates/numbering.ts. */
  mark = 0;
  /** Mark of the last plan that has visited it: see plan.ts. */
  planned = 0;
  /** Version of the memory that it was read from; undefined where nothing shared or overwrote it. */
  version: MemoryVersion | undefined = undefined;
  /** Replaced by an equal {@link Size} when a user may see it. */
  shape: Shape;
  readonly dtype: DType;
  #origin: Node | Leaf;
  #output: number;

  constructor(producer: Node | Leaf, index: number, shape: Shape, dtype: DType) {
    this.#origin = producer;
    this.#output = index;
    this.shape = shape;
    this.dtype = dtype;
  }

  get producer(): Node | Leaf {
    return this.#origin;
  }

  get index(): number {
    return this.#output;
  }

  /** Whether a barrier has computed it, on the host or the executor's side. */
  get ready(): boolean {
    return this.data !== undefined || this.read !== undefined;
  }

  /**
   * The same values without the graph that they come from.
   * @param shared whether this value stays in use, too
   */
  withoutGraph(shared = true): Value {
    const leaf = new Value(DATA, 0, this.shape, this.dtype);
    leaf.data = this.data;
    leaf.read = this.#reader(shared);
    return leaf;
  }

  #reader(shared: boolean): Reader | undefined {
    if (shared && this.read !== undefined) this.read.shared = true;
    return this.read;
  }

  /** Returns a copy for other memory; undefined where an op must copy: values are computed later, or may change. */
  copied(): Value | undefined {
    const { kind } = this.#origin;
    if (kind === "state" || (kind === "node" && this.data === undefined)) return undefined;
    if (kind === "node") return this.withoutGraph();
    // A stand-in for a sample of `vmap`: each sample copies its own values.
    if (kind === "data" && this.data === undefined && this.read === undefined) return undefined;
    const copy = new Value(this.#origin, 0, this.shape, this.dtype);
    copy.data = this.data;
    copy.read = this.#reader(true);
    return copy;
  }

  /** Releases the graph of a computed value. Gradients still pass through the edges of tensors and nodes. */
  settle(): void {
    if (this.#origin.kind === "node") this.#origin = DATA;
  }

  /** Turns a stand-in into the value that it stands for. */
  become(other: Value): void {
    this.#origin = other.#origin;
    this.#output = other.#output;
    this.data = other.data;
    this.read = other.read;
  }
}

/**
 * Replaces a tensor's value by another. If the program could read the old value, it can read the new one. The old one
 * can no longer be read, unless another tensor has it or a gradient passes through it.
 */
export function takePlace(value: Value, before: Value): void {
  if (before.visible && value.producer.kind === "node") value.visible = true;
  value.holders++;
  if (--before.holders > 0 || before.producer.kind !== "node") return;
  if (before.producer.edges === undefined) before.visible = false;
}

/** Makes a stand-in: a value without data, until {@link Value.become} turns it into another. */
export const standIn = (shape: Shape, dtype: DType): Value => new Value(DATA, 0, shape, dtype);

export function dataValue(data: HostArray, shape: Shape, dtype: DType): Value {
  const value = new Value(DATA, 0, shape, dtype);
  value.data = data;
  return value;
}

export function scalarValue(value: number, dtype: DType, varying = false): Value {
  return new Value({ kind: "scalar", value: stored(value, dtype), varying }, 0, [], dtype);
}

/** Whether a leaf is a number everywhere, without an array: plans have it in their names. */
export const isFill = ({ producer, data }: Value): boolean => producer.kind === "fill" && data === undefined;

export function fillValue(value: number, shape: Shape, dtype: DType): Value {
  return new Value({ kind: "fill", value: stored(value, dtype) }, 0, shape, dtype);
}

/** A number as an element of that type. @throws TensorError for integers that engines can't compute with */
function stored(value: number, dtype: DType): number {
  if (dtype === "bool") return value === 0 ? 0 : 1;
  if (dtype !== "int64") return value;
  const whole = Math.trunc(value);
  if (whole >= 2 ** 31 || whole < -(2 ** 31)) throw beyond32Bits();
  return whole;
}

export function stateValue(storage: Storage, initial?: Value): Value {
  return new Value(
    { kind: "state", storage, version: storage.version, initial },
    0,
    storage.shape,
    storage.dtype,
  );
}

/** Whether a `backward()` that was not recorded has freed a node. */
export function isTaken({ stretch, serial }: Node): boolean {
  return stretch !== undefined && stretch.taken.length > 0 && stretch.taken.some((one) => one.has(serial));
}

/** Whether the values in `of`, as far as they are pending, are or depend on a value. */
export function isAmongInputs(value: Value, of: Value[]): boolean {
  const met = new Set<Value>();
  for (let one = of.pop(); one !== undefined; one = of.pop()) {
    if (one === value) return true;
    if (one.ready || one.producer.kind !== "node" || met.has(one)) continue;
    met.add(one);
    of.push(...one.producer.inputs);
  }
  return false;
}
