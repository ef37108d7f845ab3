import type { SourcePosition } from "../protocol/errors.ts";
import type { SummaryRow } from "../protocol/preview.ts";
import { siteOf, type Module } from "../nn/module.ts";
import { BYTES } from "../tensor/dtype.ts";
import { Node, type Value } from "../tensor/graph.ts";
import type { Op } from "../tensor/op.ts";
import { formatShape } from "../tensor/shape.ts";
import { Tensor } from "../tensor/tensor.ts";
import { creationFrame } from "./stackTraces.ts";

/** What is seen of a model without computing anything. */
export interface Observed {
  rows: SummaryRow[];
  parameters: { total: number; trainable: number };
  parameterBytes: number;
  /** There when forward was run. */
  multiplyAdds?: number;
  activationBytes?: number;
}

interface Call {
  input: string | undefined;
  output: string | undefined;
}

/** Watches a model's modules being called, and summarises it as torchinfo does. */
export class ModelObserver {
  readonly #model: Module;
  readonly #calls = new Map<Module, Call>();
  readonly #outputs: Value[] = [];
  #activationBytes = 0;

  constructor(model: Module) {
    this.#model = model;
  }

  /** Runs `body`, in which the model is called. What was called before an error is kept. */
  async watch(body: () => unknown): Promise<void> {
    const handles = this.#model.modules().flatMap((module) => [
      module.registerForwardPreHook((_, input) => {
        const known = this.#calls.get(module);
        if (known === undefined) this.#calls.set(module, { input: shapesOf(input), output: undefined });
      }),
      module.registerForwardHook((_, input, output) => this.#called(module, input, output)),
    ]);
    try {
      await body();
    } finally {
      for (const handle of handles) handle.remove();
    }
  }

  #called(module: Module, input: readonly unknown[], output: unknown): void {
    const call = this.#calls.get(module)!;
    call.input = shapesOf(input);
    call.output = shapesOf(output);
    const tensors = tensorsOf(output);
    if (module === this.#model) this.#outputs.push(...tensors.map((one) => one.value));
    // Containers give what their children gave.
    if (module.children().length === 0)
      for (const one of tensors) this.#activationBytes += one.numel() * BYTES[one.dtype];
  }

  /** @param classPosition Where the model's own class is */
  summary(classPosition: SourcePosition | undefined): Observed {
    const named = this.#model.namedModules();
    const costs = costsByModule(this.#outputs);
    const called = new Map([...this.#calls.keys()].map((module, i) => [module, i]));
    const last = called.size;
    const ordered = named
      .map(([path, module], i) => ({ path, module, order: called.get(module) ?? last + i }))
      .sort((a, b) => a.order - b.order);
    const computed = this.#outputs.length > 0;
    const rows = inTreeOrder(ordered).map(({ path, module }): SummaryRow => {
      const call = this.#calls.get(module);
      const site = siteOf(module);
      const created = site === undefined ? undefined : creationFrame(site, classNames(module));
      const position = path === "" ? (classPosition ?? created) : created;
      return {
        path,
        depth: path === "" ? 0 : path.split(".").length,
        className: module.constructor.name,
        detail: module.extraRepr(),
        ...(call?.input === undefined ? {} : { inputShape: call.input }),
        ...(call?.output === undefined ? {} : { outputShape: call.output }),
        ...countParameters(module),
        ...(computed ? { multiplyAdds: costs.get(path) ?? 0 } : {}),
        ...(position === undefined ? {} : { position }),
      };
    });
    const { parameters: total, trainable } = countParameters(this.#model);
    return {
      rows,
      parameters: { total, trainable },
      parameterBytes: this.#model.parameters().reduce((sum, one) => sum + one.numel() * BYTES[one.dtype], 0),
      ...(computed ? { multiplyAdds: costs.get("") ?? 0, activationBytes: this.#activationBytes } : {}),
    };
  }
}

/** Parameters of a module and all inside it. */
export function countParameters(module: Module): { parameters: number; trainable: number } {
  let parameters = 0;
  let trainable = 0;
  for (const one of module.parameters()) {
    parameters += one.numel();
    if (one.requiresGrad) trainable += one.numel();
  }
  return { parameters, trainable };
}

interface Placed {
  path: string;
  module: Module;
}

/** Each module after its parent, siblings in the order in which they come. */
function inTreeOrder(modules: readonly Placed[]): Placed[] {
  const children = new Map<string, Placed[]>();
  let root: Placed | undefined;
  for (const one of modules) {
    if (one.path === "") root = one;
    else {
      const parent = one.path.slice(0, Math.max(0, one.path.lastIndexOf(".")));
      children.set(parent, [...(children.get(parent) ?? []), one]);
    }
  }
  const ordered: Placed[] = [];
  const visit = (one: Placed): void => {
    ordered.push(one);
    for (const child of children.get(one.path) ?? []) visit(child);
  };
  if (root !== undefined) visit(root);
  return ordered;
}

/** Multiply-adds of what was recorded, by the path of the module that did it; a container has those of all inside. */
function costsByModule(outputs: readonly Value[]): Map<string, number> {
  const costs = new Map<string, number>();
  const seen = new Set<Node>();
  const pending = [...outputs];
  for (let value = pending.pop(); value !== undefined; value = pending.pop()) {
    const node = value.producer;
    if (!(node instanceof Node) || seen.has(node)) continue;
    seen.add(node);
    pending.push(...node.inputs);
    const op = node.op as unknown as Op<object>;
    const cost = op.cost?.(node, node.attributes) ?? 0;
    if (cost === 0) continue;
    for (const path of enclosing(node.module)) costs.set(path, (costs.get(path) ?? 0) + cost);
  }
  return costs;
}

/** `a.b` → `a.b`, `a`, and the model itself. */
function enclosing(path: string): string[] {
  const paths = [""];
  if (path === "") return paths;
  const parts = path.split(".");
  return paths.concat(parts.map((_, i) => parts.slice(0, i + 1).join(".")));
}

/** Names of a module's class and those it extends. */
function classNames(module: Module): string[] {
  const names: string[] = [];
  let type: unknown = module.constructor;
  while (typeof type === "function" && type !== Function.prototype) {
    names.push(type.name);
    type = Object.getPrototypeOf(type);
  }
  return names;
}

function tensorsOf(value: unknown): Tensor[] {
  if (value instanceof Tensor) return [value];
  return Array.isArray(value) ? value.flatMap(tensorsOf) : [];
}

/** `[32, 10]`; several in brackets: `([32, 10], [1, 32, 5])`. Undefined when there is no tensor. */
function shapesOf(value: unknown): string | undefined {
  const shapes = tensorsOf(value).map((one) => formatShape(one.shape));
  if (shapes.length === 0) return undefined;
  return shapes.length === 1 ? shapes[0] : `(${shapes.join(", ")})`;
}
