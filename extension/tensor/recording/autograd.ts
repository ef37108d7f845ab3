import { inspectGradients } from "./anomaly.ts";
import { apply } from "./apply.ts";
import { ofBatch } from "./batchedGradients.ts";
import { anyCustomGradients, customGradient } from "../differentiation/customGradients.ts";
import { internal, TensorError } from "../core/errors.ts";
import { fillValue, isTaken, type GradientEdge, type Node } from "./graph.ts";
import { gradientsOf } from "./gradientRules.ts";
import {
  anyHooks,
  hasAccumulationHooks,
  visitAccumulated,
  visitEnd,
  visitLeaf,
  visitNode,
  withArriving,
} from "./gradientHooks.ts";
import { add } from "../ops/elementwise/elementwise.ts";
import { computeLongGradients } from "../planning/barrier.ts";
import { sumTo } from "../ops/movement/movement.ts";
import { observe, runtime } from "./runtime.ts";
import { hidden, scope, withGradients } from "./scope.ts";
import { free, Paths, topological, unchanging, zeroGradient } from "./walk.ts";
import { formatSize, sameShape } from "../core/shape.ts";
import { isNamed } from "../signatures/bind.ts";
import { Tensor, tensorOf } from "../core/tensor.ts";
import { listTensors } from "../core/tensorLike.ts";

export interface BackwardOptions {
  /** Records the gradients themselves, so that they can be differentiated again. */
  createGraph?: boolean;
  /**
   * Lets a gradient pass through the graph again. Default: `createGraph`. Without it, a second pass throws PyTorch's
   * error that the values of the forward pass are gone.
   */
  retainGraph?: boolean | null;
  /** Adds to the `.grad` of these tensors only. Default: every leaf. */
  inputs?: Several | null;
}

type Several = Tensor | readonly Tensor[];

/**
 * Adds the gradient of `root` with respect to every leaf that requires one to that leaf's `.grad`.
 * @param gradient of shape `root.shape`; may be left out for a scalar
 * @throws TensorError "element 0 of tensors does not require grad and does not have a grad_fn"
 * @throws TensorError "grad can be implicitly created only for scalar outputs"
 * @throws TensorError "Trying to backward through the graph a second time …" unless the first call had `retainGraph`
 * @throws TensorError "one of the variables needed for gradient computation has been modified by an inplace operation …"
 */
export function backward(root: Tensor, gradient?: Tensor, options: BackwardOptions = {}): void {
  scope.sample?.refuse();
  if (options.inputs != null) return backwardAll([root], { ...options, gradTensors: [gradient ?? null] });
  observe(root.value);
  backwardUnread(root, gradient, options);
}

/** Like {@link backward}, for a root that is not read after the step. */
export function backwardUnread(root: Tensor, gradient?: Tensor, options: BackwardOptions = {}): void {
  const createGraph = options.createGraph ?? false;
  const { trace } = runtime;
  const start = trace.length;
  // Hooks and custom gradients run user code: such a backward is recorded each time.
  const plain =
    gradient === undefined &&
    !createGraph &&
    !anyHooks() &&
    !anyCustomGradients() &&
    runtime.inspector === undefined;
  const keep = options.retainGraph ?? createGraph;
  const run = (): Map<Tensor, Tensor> => propagate([root], [gradient], { createGraph, keep });
  const repeats = plain && runtime.policy.repeatBackward;
  const repeated = repeats ? trace.repeatBackward(root.value, run, !keep, runtime.isCompiled) : undefined;
  if (repeated !== undefined) {
    for (const [leaf, value] of repeated) {
      if (!tensorOf(leaf).requiresGrad) continue;
      tensorOf(leaf).grad = new Tensor(value);
      runtime.gradients.note(leaf);
    }
    return;
  }
  const leaves = run();
  check(leaves);
  const first = [...leaves.keys()].every((leaf) => leaf.ownGrad === null);
  accumulateAll(leaves, createGraph);
  runtime.gradients.nodes += Math.max(0, trace.length - start);
  if (!first && !createGraph) computeLongGradients(leaves.keys());
  if (plain && first)
    trace.noteBackward(
      start,
      root.value,
      [...leaves].map(([leaf, grad]) => [leaf, grad.value] as const),
    );
}

/** @throws AnomalyError when anomalies are detected and a gradient has a NaN */
function check(gradients: ReadonlyMap<Tensor, Tensor>): void {
  if (runtime.checksGradients) inspectGradients(Array.from(gradients.values(), ({ value }) => value));
}

/**
 * PyTorch's AccumulateGrad: a leaf has a gradient of its own, to which later ones are added in place. A gradient that
 * can be differentiated again is a new tensor.
 */
function accumulate(leaf: Tensor, grad: Tensor, createGraph: boolean): void {
  const before = leaf.ownGrad;
  if (before === null) leaf.grad = new Tensor(grad.value, createGraph ? grad.edge : undefined);
  else if (createGraph) leaf.grad = apply(add, [before, grad], {});
  else before.write(apply(add, [before, grad], {}));
  // No step uses the gradient of an input: only the program reads it.
  if (leaf.storage === undefined) leaf.ownGrad!.value.visible = true;
  else runtime.gradients.note(leaf);
}

function accumulateAll(gradients: Iterable<readonly [Tensor, Tensor]>, createGraph: boolean): void {
  hidden(() =>
    withGradients(createGraph, () => {
      // A hook may step an optimizer, after which gradients of the old parameters could no longer be computed.
      if (hasAccumulationHooks(gradients)) for (const [, grad] of gradients) observe(grad.value);
      for (const [leaf, grad] of gradients) {
        // A leaf that was frozen since gets no gradient.
        if (!leaf.requiresGrad) continue;
        accumulate(leaf, grad, createGraph);
        visitAccumulated(leaf);
      }
    }),
  );
  visitEnd(gradients);
}

/** Named arguments of {@link backwardAll}. */
export interface BackwardAllOptions extends BackwardOptions {
  /** The gradients of the tensors; may be left out for tensors of one element. */
  gradTensors?: Tensor | readonly (Tensor | null)[] | null;
}

/**
 * Adds the gradients of several tensors with respect to every leaf that requires one, or to `inputs`, to their `.grad`:
 * PyTorch's `torch.autograd.backward`.
 * @throws TensorError "grad can be implicitly created only for scalar outputs"
 */
export function backwardAll(
  tensors: Several,
  gradTensors?: BackwardAllOptions["gradTensors"],
  retainGraph?: boolean | null,
  createGraph?: boolean,
): void;
export function backwardAll(tensors: Several, options?: BackwardAllOptions): void;
export function backwardAll(
  tensors: Several,
  gradTensors: BackwardAllOptions["gradTensors"],
  options: BackwardAllOptions,
): void;
export function backwardAll(tensors: Several, ...rest: readonly unknown[]): void {
  scope.sample?.refuse();
  const last = rest.at(-1);
  const named = isNamed(last) ? (last as BackwardAllOptions) : {};
  const [seeds = named.gradTensors, retainByPlace, byPlace] = (isNamed(last) ? rest.slice(0, -1) : rest) as [
    BackwardAllOptions["gradTensors"],
    boolean | null | undefined,
    boolean | undefined,
  ];
  const { createGraph = byPlace ?? false, retainGraph = retainByPlace, inputs } = named;
  const roots = listTensors("backward", "tensors", tensors);
  const given = seeds instanceof Tensor ? [seeds] : (seeds ?? []);
  if (inputs != null && listTensors("backward", "inputs", inputs).length === 0)
    throw new TensorError("autograd", "`inputs` argument to `backward()` cannot be empty.");
  checkSeeds(roots, seeds);
  for (const root of roots) observe(root.value);
  const wanted = inputs == null ? undefined : new Set(listTensors("backward", "inputs", inputs));
  checkWanted(wanted ?? [], "can't retain_grad on Tensor that has requires_grad=False");
  const found = propagate(
    roots,
    roots.map((_, i) => given[i] ?? undefined),
    { createGraph, keep: retainGraph ?? createGraph, wanted: wanted && [...wanted] },
  );
  check(found);
  accumulateAll(wanted === undefined ? found : [...found].filter(([x]) => wanted.has(x)), createGraph);
}

/** Options of {@link grad}. */
export interface GradOptions extends Omit<BackwardOptions, "inputs"> {
  /** The gradients of the outputs; may be left out for outputs of one element. */
  gradOutputs?: Tensor | readonly (Tensor | null)[] | null;
  /** Returns null for an input that the outputs don't depend on, instead of throwing. Default false. */
  allowUnused?: boolean;
  /** Returns zeros for such an input. Default false. */
  materializeGrads?: boolean;
  /** Whether `gradOutputs` have a leading dimension of several gradients: the results have a row for each. */
  isGradsBatched?: boolean;
  /** @deprecated PyTorch ignores it too. */
  onlyInputs?: boolean;
}

/** Options with which every input has a gradient. */
type Complete = (GradOptions & { allowUnused?: false }) | (GradOptions & { materializeGrads: true });

/** All arguments of {@link grad} by name. */
type Named<Options> = Options & { outputs: Several; inputs: Several };

/**
 * Returns the gradients of `outputs` with respect to `inputs`, without touching `.grad`.
 * @throws TensorError "One of the differentiated Tensors appears to not have been used in the graph." unless allowUnused
 */
export function grad(outputs: Several, inputs: Several, options?: Complete): Tensor[];
export function grad(
  outputs: Several,
  inputs: Several,
  gradOutputs: GradOptions["gradOutputs"],
  options?: Complete,
): Tensor[];
export function grad(named: Named<Complete>): Tensor[];
export function grad(
  outputs: Several,
  inputs: Several,
  options: GradOptions | GradOptions["gradOutputs"],
  more?: GradOptions,
): (Tensor | null)[];
export function grad(named: Named<GradOptions>): (Tensor | null)[];
export function grad(...args: unknown[]): (Tensor | null)[] {
  const { outputs, inputs, ...options } = namedArguments(args);
  const roots = listTensors("grad", "outputs", outputs);
  const wanted = listTensors("grad", "inputs", inputs);
  const seeds = options.gradOutputs instanceof Tensor ? [options.gradOutputs] : (options.gradOutputs ?? []);
  const zeros = options.materializeGrads === true;
  const { createGraph = false } = options;
  const keep = options.retainGraph ?? createGraph;
  checkSeeds(roots, options.gradOutputs);
  checkWanted(wanted, "One of the differentiated Tensors does not require grad");
  const given = roots.map((_, i) => seeds[i] ?? undefined);
  const each = (one: typeof given, more: boolean): (Tensor | null)[] => {
    const found = propagate(roots, one, { createGraph, keep: keep || more, wanted });
    check(found);
    return wanted.map((t) => found.get(t) ?? null);
  };
  const results = options.isGradsBatched
    ? ofBatch(roots, given, wanted, createGraph, each)
    : each(given, false);
  return wanted.map((t, i) => {
    const g = results[i];
    if (g == null && zeros) return zeroGradient(t, createGraph);
    if (g == null && options.allowUnused !== true) throw unused();
    // Visible to the user, unlike intermediate values.
    if (g != null && scope.depth === 0) g.value.visible = true;
    return g ?? null;
  });
}

/** @internal What `grad` throws for an input that the outputs don't depend on. */
export const unused = (): TensorError =>
  new TensorError(
    "autograd",
    "One of the differentiated Tensors appears to not have been used in the graph. Set allowUnused: true if this is the desired behavior.",
  );

/** @internal The arguments of {@link grad} by name. */
export function namedArguments(args: readonly unknown[]): Named<GradOptions> {
  const isOptions = (x: unknown): x is object =>
    typeof x === "object" && x !== null && !Array.isArray(x) && !(x instanceof Tensor);
  const named: object = Object.assign({}, ...args.filter(isOptions));
  const [outputs, inputs, gradOutputs] = args.filter((x) => !isOptions(x));
  return {
    ...(outputs === undefined ? {} : { outputs, inputs, gradOutputs }),
    ...named,
  } as Named<GradOptions>;
}

/** Nodes at which a walk ends, with the gradients that have arrived there: none at first. */
type Border = Map<Node, (Tensor | null)[]>;

/**
 * @internal Returns the gradients of `roots` at the given edges, beyond which nothing is visited: those of a part of
 * the graph. No hook of a leaf sees them.
 */
export function gradientsAt(
  edges: readonly GradientEdge[],
  roots: readonly Tensor[],
  seeds: readonly Tensor[],
  createGraph: boolean,
): (Tensor | null)[] {
  const border: Border = new Map(edges.flatMap(({ node }) => (node === undefined ? [] : [[node, []]])));
  const leaves = propagate(roots, seeds, { createGraph, keep: true, border });
  return edges.map(
    (e) => (e.node === undefined ? leaves.get(tensorOf(e.leaf)) : border.get(e.node)![e.index]) ?? null,
  );
}

interface Walk {
  readonly createGraph: boolean;
  /** Whether gradients may pass through the graph again. */
  readonly keep: boolean;
  /** Tensors whose gradients are computed; by default those of all leaves are. */
  readonly wanted?: readonly Tensor[] | undefined;
  readonly border?: Border;
}

/** Walks the graph back from the roots. Returns the gradient of every leaf, or of every tensor in `wanted`. */
function propagate(
  roots: readonly Tensor[],
  seeds: readonly (Tensor | undefined)[],
  { createGraph, keep, wanted, border }: Walk,
): Map<Tensor, Tensor> {
  const pending = border ?? new Map<Node, (Tensor | null)[]>();
  const ends = border === undefined ? undefined : [...border.keys()];
  const result = new Map<Tensor, Tensor>();
  const dropped: GradientEdge[] = [];
  const plus = (a: Tensor | null | undefined, b: Tensor): Tensor => (a ? apply(add, [a, b], {}) : b);
  const deliver = (edge: NonNullable<Tensor["edge"]>, g: Tensor): void => {
    if (edge.leaf !== undefined) {
      const leaf = tensorOf(edge.leaf);
      result.set(leaf, plus(result.get(leaf), g));
      return;
    }
    const { node, index } = edge;
    let slots = pending.get(node);
    if (!slots?.length) {
      slots = [];
      while (slots.length < node.outputs.length) slots.push(null);
      pending.set(node, slots);
    }
    slots[index] = plus(slots[index], g);
  };
  const walk = (): Map<Tensor, Tensor> => {
    roots.forEach((root, i) => {
      if (root.edge === undefined) {
        throw new TensorError(
          "autograd",
          `element ${i} of tensors does not require grad and does not have a grad_fn`,
        );
      }
      deliver(root.edge, seedFor(root, seeds[i], i));
    });
    const order = topological(roots, ends);
    const paths = wanted === undefined ? undefined : new Paths(order, wanted);
    for (const node of order) {
      const grads = pending.get(node);
      if (grads === undefined) continue;
      visitNode(node, grads);
      paths?.collect(node, grads, result);
      pending.delete(node);
      const needs = paths?.through(node);
      if (paths !== undefined && needs === undefined) continue;
      if (!node.freed && isTaken(node)) node.freed = true;
      const edges = node.edges!;
      const inputGrads = gradientsOf(node, grads, needs);
      for (let i = 0; i < edges.length; i++) {
        const g = inputGrads[i];
        const edge = edges[i];
        if (edge === undefined || needs?.[i] === false) continue;
        if (g) deliver(edge, checked(node, i, g));
        else if (customGradient(node) === undefined) dropped.push(edge);
      }
      if (!keep) free(node);
    }
    if (border !== undefined) return result;
    if (dropped.length > 0)
      for (const t of unchanging(dropped, paths))
        if (!result.has(t)) result.set(t, zeroGradient(t, createGraph));
    for (const [leaf, grad] of result) if (leaf.edge?.leaf === leaf) result.set(leaf, visitLeaf(leaf, grad));
    return result;
  };
  const arriving = (): (Tensor | null)[] => [...[...pending.values()].flat(), ...result.values()];
  return hidden(() => withGradients(createGraph, () => withArriving(arriving, walk)));
}

/** @throws TensorError for fewer gradients than tensors, unless none are given */
function checkSeeds(roots: readonly Tensor[], seeds: BackwardAllOptions["gradTensors"]): void {
  if (seeds === undefined || seeds === null) return;
  const count = seeds instanceof Tensor ? 1 : seeds.length;
  if (count < roots.length) {
    throw new TensorError("autograd", `got ${roots.length} tensors and ${count} gradients`);
  }
}

/** @throws TensorError for a tensor that needs no gradient */
function checkWanted(wanted: Iterable<Tensor>, refusal: string): void {
  for (const t of wanted) if (!t.requiresGrad) throw new TensorError("autograd", refusal);
}

function seedFor(root: Tensor, seed: Tensor | undefined, at: number): Tensor {
  if (seed !== undefined) {
    if (!sameShape(seed.shape, root.shape)) {
      throw new TensorError(
        "shape",
        `Mismatch in shape: grad_output[${at}] has a shape of ${formatSize(seed.shape)} and output[${at}] has a shape of ${formatSize(root.shape)}.`,
      );
    }
    return seed;
  }
  if (root.numel() !== 1) {
    throw new TensorError("autograd", "grad can be implicitly created only for scalar outputs");
  }
  return new Tensor(fillValue(1, root.shape, root.dtype));
}

/** The one place where gradients of broadcast inputs are summed back to the input's shape. */
function checked(node: Node, index: number, g: Tensor): Tensor {
  const input = node.inputs[index]!;
  if (g.dtype !== "float32") internal(`gradient ${index} of ${node.op.name} is ${g.dtype}`);
  return sameShape(g.shape, input.shape) ? g : sumTo(g, input.shape);
}
