import { TensorError } from "../../tensor/core/errors.ts";
import type { Node, Storage, Value } from "../../tensor/recording/graph.ts";
import { noGrad } from "../../tensor/recording/scope.ts";
import { Tensor } from "../../tensor/core/tensor.ts";
import { withMode } from "../module/modes.ts";
import type { Module } from "../module/module.ts";

/** A call of a model: what went in and came out, by name, and the nodes between in an order of computing. */
export interface Recording {
  readonly inputs: readonly Named[];
  readonly outputs: readonly Named[];
  readonly nodes: readonly Node[];
  /** Names of weights and buffers, as in the state dict. */
  readonly states: ReadonlyMap<Storage, string>;
}

export interface Named {
  readonly name: string;
  readonly value: Value;
}

/** Arguments of a model: a tensor, or a list of what `forward` takes, tensors within objects included. */
export type ModelArguments = Tensor | readonly unknown[];

/** Calls a model in evaluation mode, without gradients, and takes down what it would compute. */
export function recordModel(
  model: Module,
  args: readonly unknown[],
  inputNames: readonly string[] | undefined,
  outputNames: readonly string[] | undefined,
): Recording {
  const output = withMode(model, "eval", () =>
    noGrad(() => (model as unknown as (...inputs: readonly unknown[]) => unknown)(...args)),
  );
  const inputs = named(tensorsIn(args), "input", inputNames);
  const outputs = named(tensorsIn([output]), "output", outputNames);
  if (outputs.length === 0)
    throw new TensorError(
      "value",
      `${model.constructor.name}.forward() gave no tensor, so there is nothing to export`,
    );
  const given = new Set(inputs.map(({ value }) => value));
  const states = new Map<Storage, string>();
  for (const [name, tensor] of [...model.namedParameters(), ...model.namedBuffers()])
    if (tensor.storage !== undefined && !states.has(tensor.storage)) states.set(tensor.storage, name);
  return {
    inputs,
    outputs,
    nodes: nodesOf(
      outputs.map(({ value }) => value),
      given,
    ),
    states,
  };
}

interface Found {
  /** Of the object's field it is in; undefined for one that has its place only. */
  readonly key: string | undefined;
  readonly tensor: Tensor;
}

/** Tensors in lists and plain objects, in their order. */
export function tensorsIn(value: unknown, key?: string): Found[] {
  if (value instanceof Tensor) return [{ key, tensor: value }];
  if (Array.isArray(value)) return value.flatMap((one) => tensorsIn(one, key));
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype)
    return [];
  return Object.entries(value).flatMap(([name, one]) => tensorsIn(one, name));
}

/** The same with each tensor replaced. */
export function withTensors(value: unknown, replace: (tensor: Tensor) => Tensor): unknown {
  if (value instanceof Tensor) return replace(value);
  if (Array.isArray(value)) return value.map((one) => withTensors(one, replace));
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype)
    return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, withTensors(one, replace)]));
}

/** Names given, else of fields, else by place: "input", "input_2". No name twice. */
function named(found: readonly Found[], word: string, given: readonly string[] | undefined): Named[] {
  const used = new Set<string>();
  return found.map(({ key, tensor }, i) => {
    const wanted = given?.[i] ?? key ?? word;
    let name = wanted;
    for (let n = 2; used.has(name); n++) name = `${wanted}_${n}`;
    used.add(name);
    return { name, value: tensor.value };
  });
}

/** The nodes that values come from, each after those it needs. Without recursion: recurrent models are deep. */
function nodesOf(roots: readonly Value[], given: ReadonlySet<Value>): Node[] {
  const done = new Set<Node>();
  const order: Node[] = [];
  const stack: { node: Node; next: number }[] = [];
  const enter = (value: Value): void => {
    const { producer } = value;
    if (producer.kind === "node" && !given.has(value) && !done.has(producer))
      stack.push({ node: producer, next: 0 });
  };
  for (const root of roots) {
    enter(root);
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const input = top.node.inputs[top.next++];
      if (input !== undefined) {
        enter(input);
        continue;
      }
      stack.pop();
      if (done.has(top.node)) continue;
      done.add(top.node);
      order.push(top.node);
    }
  }
  return order;
}
