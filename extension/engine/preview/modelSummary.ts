import type { SourcePosition } from "../../protocol/errors.ts";
import type { ModelReport, SummaryRow } from "../../protocol/preview.ts";
import type { TableOptions } from "../../protocol/summary.ts";
import type { Module } from "../../nn/module/module.ts";
import { siteOf } from "../../nn/module/moduleCall.ts";
import { bytesOf, sum, type LayerInfo } from "../../nn/summary/layerInfo.ts";
import { CallRecorder } from "../../nn/summary/recorder.ts";
import { ModelStatistics } from "../../nn/summary/statistics.ts";
import type { Meta } from "../../tensor/recording/op.ts";
import { formatShape } from "../../tensor/core/shape.ts";
import { axesText } from "./axes.ts";
import { DataFlow } from "./dataFlow.ts";
import { creationFrame } from "../host/stackTraces.ts";

/** Facts about a model that need no computation. */
export type Observed = Omit<ModelReport, "name" | "experiments" | "text" | "error">;

/** Watches calls of a model's modules, and summarizes them for the editor and the command line. */
export class ModelObserver {
  readonly #recorder: CallRecorder;
  readonly #flow: DataFlow;

  constructor(model: Module) {
    this.#recorder = new CallRecorder(model);
    this.#flow = new DataFlow(model);
  }

  /** Runs `body`, in which the model is called. Calls before an error are kept. */
  watch(body: () => unknown): Promise<void> {
    return this.#recorder.record(() => this.#flow.record(body));
  }

  /**
   * @param classPosition Where the model's own class is
   * @param table Asks for torchinfo's table
   */
  summary(classPosition: SourcePosition | undefined, table: TableOptions | undefined): Observed {
    const { model } = this.#recorder;
    const calls = this.#calls();
    const order = new Map([...calls.keys()].map((module, i) => [module, i]));
    const ordered = model
      .namedModules()
      .map(([path, module], i) => ({ path, module, order: order.get(module) ?? order.size + i }))
      .sort((a, b) => a.order - b.order);
    const rows = inTreeOrder(ordered).map(({ path, module }): SummaryRow => {
      const facts = this.#recorder.factsOf(module);
      const { numParams, trainableParams, paramBytes, kernelSize } = facts;
      const own = new Set(module.namedParameters("", false).map(([name]) => name));
      const weights = facts.weights
        .filter(({ name }) => own.has(name))
        .map(({ name, shape, trainable }) => ({
          name,
          shape: formatShape(shape),
          ...(trainable ? {} : { frozen: true }),
        }));
      const called = calls.get(module) ?? [];
      const axes = axesText(this.#flow.axes.get(module) ?? []);
      const position = (path === "" ? classPosition : undefined) ?? positionOf(module);
      return {
        path,
        depth: path === "" ? 0 : path.split(".").length,
        className: module.constructor.name,
        detail: module.extraRepr(),
        ...(kernelSize === undefined
          ? {}
          : { kernelShape: JSON.stringify(kernelSize).replaceAll(",", ", ") }),
        ...(axes === undefined ? {} : { outputAxes: axes }),
        parameters: numParams,
        trainable: trainableParams,
        ...(weights.length === 0 ? {} : { weights }),
        ...(this.#recorder.called
          ? { ...callsOf(called), memoryBytes: paramBytes + activationsOf(called) }
          : {}),
        ...(position === undefined ? {} : { position }),
      };
    });
    const totals = new ModelStatistics(this.#recorder);
    const flow = this.#flow.graph();
    return {
      rows,
      parameters: { total: totals.totalParams, trainable: totals.trainableParams },
      parameterBytes: totals.totalParamBytes,
      ...(totals.called ? sizesOf(totals) : {}),
      ...(flow === undefined ? {} : { flow }),
      ...(table === undefined ? {} : { summary: new ModelStatistics(this.#recorder, table).toString() }),
    };
  }

  /** Calls by their modules, in the order of first calls. */
  #calls(): Map<Module, LayerInfo[]> {
    const calls = new Map<Module, LayerInfo[]>();
    if (this.#recorder.called)
      for (const row of this.#recorder.rows()) calls.set(row.module, [...(calls.get(row.module) ?? []), row]);
    return calls;
  }
}

/** A module's row by one forward pass: the shapes of its last call, and the multiply-adds of all calls. */
function callsOf(calls: readonly LayerInfo[]): Partial<SummaryRow> {
  const last = calls.findLast(({ executed }) => executed) ?? calls.at(-1);
  const [input, output] = [shapesOf(last?.inputs ?? []), shapesOf(last?.outputs ?? [])];
  return {
    ...(input === undefined ? {} : { inputShape: input }),
    ...(output === undefined ? {} : { outputShape: output }),
    // A container that is not called has a row, for what is called in it.
    calls: calls.filter(({ inputs }) => inputs.length > 0).length,
    multiplyAdds: sum(calls, (call) => call.multAdds),
  };
}

/** Bytes of the outputs of layers in these calls, without containers, whose outputs are their children's. */
const activationsOf = (calls: readonly LayerInfo[]): number =>
  sum(calls, (call) =>
    sum([call, ...call.children], ({ facts, outputs }) => (facts.isLeaf ? bytesOf(outputs) : 0)),
  );

function sizesOf(totals: ModelStatistics): Partial<Observed> {
  // Outputs of containers are their children's.
  const leaves = totals.summaryList.filter(({ facts }) => facts.isLeaf);
  return {
    multiplyAdds: totals.totalMultAdds,
    activationBytes: sum(leaves, ({ outputs }) => bytesOf(outputs)),
    inputBytes: totals.totalInput,
    forwardBackwardBytes: totals.totalOutputBytes,
  };
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

/** Where the user's code made a module. */
export function positionOf(module: Module): SourcePosition | undefined {
  const site = siteOf(module);
  return site === undefined ? undefined : creationFrame(site, classNames(module));
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

/** `[32, 10]`; several in brackets: `([32, 10], [1, 32, 5])`. Undefined when there is no tensor. */
function shapesOf(tensors: readonly Meta[]): string | undefined {
  const shapes = tensors.map(({ shape }) => formatShape(shape));
  if (shapes.length === 0) return undefined;
  return shapes.length === 1 ? shapes[0] : `(${shapes.join(", ")})`;
}
