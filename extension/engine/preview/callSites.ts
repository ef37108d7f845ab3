import type { SourcePosition } from "../../protocol/errors.ts";
import type { CallReport, TensorType } from "../../protocol/preview.ts";
import type { Module } from "../../nn/module/module.ts";
import * as nn from "../../nn/nn.ts";
import { tensorsIn } from "../../nn/summary/layerInfo.ts";
import type { Node, Value } from "../../tensor/recording/graph.ts";
import type { Meta } from "../../tensor/recording/op.ts";
import { SITE, scope } from "../../tensor/recording/scope.ts";
import { userFrames } from "../host/stackTraces.ts";

/** Most reports: a loop may have thousands of steps, each of another shape. */
const MAX_REPORTS = 5000;

/** One call: its place in the user's code, its inputs and its outputs. */
interface Visit {
  readonly position: SourcePosition | undefined;
  readonly path: string | undefined;
  name: string;
  inputs: readonly Meta[];
  outputs: readonly Meta[];
  /** Whether it returned. */
  ended: boolean;
}

/** A module whose call has not returned. */
export interface OpenCall {
  readonly module: Module;
  readonly input: readonly unknown[];
  readonly visit: Visit;
  /** Nothing inside is the user's code. */
  readonly ours: boolean;
}

const classes = new Set<unknown>(Object.values(nn));

/** Whether a module is of a class of the library: code inside it is not the user's. */
export const isOurs = (module: Module): boolean => classes.has(module.constructor);

/** Notes the shapes that calls in the user's code take and return. */
export class CallSites {
  readonly #visits: Visit[] = [];
  readonly #open: OpenCall[] = [];
  /** Nodes of one call of a function: those recorded one after another from one place. */
  #group: { key: string; visit: Visit; nodes: Node[] } | undefined;

  /** Runs `body` and notes its calls, also those before an error. */
  async watch(body: () => unknown): Promise<void> {
    const { onNode, onSample, onCall } = scope;
    scope.onNode = (node) => {
      onNode?.(node);
      // Nodes that are recorded again for a batch have the shapes of no call.
      if (scope.site === undefined) this.#note(node);
    };
    scope.onSample = (node) => this.#note(node);
    scope.onCall = (module, input) => {
      const told = onCall?.(module, input);
      const end = this.#begin(module as Module, input);
      return (output) => {
        end(output);
        told?.(output);
      };
    };
    try {
      await body();
    } finally {
      scope.onNode = onNode;
      scope.onSample = onSample;
      scope.onCall = onCall;
      this.#close();
    }
  }

  /** The innermost module whose call didn't return. */
  get failed(): OpenCall | undefined {
    return this.#open.at(-1);
  }

  #begin(module: Module, input: readonly unknown[]): (output: unknown) => void {
    this.#close();
    const visit: Visit = {
      position: this.#open.at(-1)?.ours === true ? undefined : userFrames(new Error(SITE))[0],
      path: scope.path,
      name: module.constructor.name,
      inputs: tensorsIn(input),
      outputs: [],
      ended: false,
    };
    const call: OpenCall = { module, input, visit, ours: isOurs(module) };
    this.#visits.push(visit);
    this.#open.push(call);
    return (output) => {
      this.#close();
      visit.outputs = tensorsIn(output);
      visit.ended = true;
      // Inner calls with an error that the user's code caught never return.
      this.#open.length = this.#open.indexOf(call);
    };
  }

  #note(node: Node): void {
    const within = this.#open.at(-1);
    if (within === undefined || within.ours || node.site === undefined) return;
    const position = userFrames(node.site)[0];
    if (position === undefined) return;
    const key = keyOf(position);
    if (this.#group?.key !== key) {
      this.#close();
      const visit: Visit = { position, path: undefined, name: "", inputs: [], outputs: [], ended: true };
      this.#visits.push(visit);
      this.#group = { key, visit, nodes: [] };
    }
    this.#group.nodes.push(node);
  }

  /** Ends a function's call: its results are the outputs of its nodes that none of them takes. */
  #close(): void {
    if (this.#group === undefined) return;
    const { visit, nodes } = this.#group;
    this.#group = undefined;
    const made = new Set<Value>(nodes.flatMap(({ outputs }) => outputs));
    const taken = new Set<Value>(nodes.flatMap(({ inputs }) => inputs));
    visit.name = nodes.at(-1)!.op.name;
    visit.inputs = [...taken]
      .filter((value) => !made.has(value) && value.producer.kind !== "scalar")
      .map(({ shape, dtype }) => ({ shape, dtype }));
    visit.outputs = [...made]
      .filter((value) => !taken.has(value))
      .map(({ shape, dtype }) => ({ shape, dtype }));
  }

  /**
   * Returns the noted calls; those of the same place and shapes are one.
   * @param batch Size of the batch
   * @param other The same model with another batch: sizes that differ depend on the batch
   */
  reports(batch: number, other?: { sites: CallSites; batch: number }): CallReport[] {
    const twins = other === undefined ? undefined : twinsOf(this.#visits, other.sites.#visits);
    const symbolic = (metas: readonly Meta[], twin: readonly Meta[] | undefined): TensorType[] =>
      metas.map(({ shape, dtype }, i) => {
        const same = twin?.[i]?.shape;
        return {
          shape: shape.map((size, d) =>
            same?.length === shape.length ? symbolicSize(size, batch, same[d]!, other!.batch) : size,
          ),
          dtype,
        };
      });
    const found = new Map<string, CallReport>();
    this.#visits.forEach((visit, i) => {
      if (!visit.ended) return;
      const twin = twins?.[i];
      const { position, path, name } = visit;
      const report: CallReport = {
        ...(position === undefined ? {} : { position }),
        ...(path === undefined ? {} : { path }),
        name,
        inputs: symbolic(visit.inputs, twin?.inputs),
        outputs: symbolic(visit.outputs, twin?.outputs),
        times: 1,
      };
      const key = JSON.stringify(report);
      const known = found.get(key);
      if (known !== undefined) known.times++;
      else if (found.size < MAX_REPORTS) found.set(key, report);
    });
    return [...found.values()];
  }
}

const keyOf = ({ file, line, column }: SourcePosition): string => `${line}:${column}:${file}`;

/** The calls of another pass, if it made the same calls. */
function twinsOf(visits: readonly Visit[], others: readonly Visit[]): readonly Visit[] | undefined {
  const same = (a: Visit, b: Visit | undefined): boolean =>
    b !== undefined &&
    a.path === b.path &&
    a.name === b.name &&
    (a.position === undefined
      ? b.position === undefined
      : b.position !== undefined && keyOf(a.position) === keyOf(b.position));
  return visits.every((visit, i) => same(visit, others[i])) ? others : undefined;
}

/** A size by its values for two batches: a number, or a term in the batch size N, such as "2N+1". */
export function symbolicSize(
  size: number,
  batch: number,
  other: number,
  otherBatch: number,
): number | string {
  if (size === other) return size;
  const factor = (other - size) / (otherBatch - batch);
  const rest = size - factor * batch;
  if (!Number.isInteger(factor) || factor <= 0) return size;
  const times = factor === 1 ? "N" : `${factor}N`;
  if (rest === 0) return times;
  return rest > 0 ? `${times}+${rest}` : `${times}-${-rest}`;
}
