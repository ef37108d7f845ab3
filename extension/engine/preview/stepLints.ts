import type { Optimizers } from "../../nn/experiment/experiment.ts";
import { Module } from "../../nn/module/module.ts";
import * as nn from "../../nn/nn.ts";
import { Optimizer } from "../../nn/optim/optimizer.ts";
import { setWarningSink } from "../../nn/warnings.ts";
import type { SourcePosition } from "../../protocol/errors.ts";
import type { CodeWarning } from "../../protocol/preview.ts";
import { Node, type Storage, type Value } from "../../tensor/recording/graph.ts";
import { sigmoid } from "../../tensor/ops/elementwise/elementwise.ts";
import { permute, reshape } from "../../tensor/ops/movement/movement.ts";
import { logSoftmax, softmax, sparseCrossEntropy } from "../../tensor/ops/reduction/softmax.ts";
import { SITE, scope } from "../../tensor/recording/scope.ts";
import { formatShape, numel } from "../../tensor/core/shape.ts";
import { Tensor } from "../../tensor/core/tensor.ts";
import { isOurs } from "./callSites.ts";
import { positionOf } from "./modelSummary.ts";
import { userFrames } from "../host/stackTraces.ts";

/** Ops that only rearrange: what a value is of is seen through them. */
const ARRANGING: readonly unknown[] = [permute, reshape];

/** Ops that take a softmax and its logarithm. */
const LOGARITHMS: readonly unknown[] = [logSoftmax, sparseCrossEntropy];

/** Losses of probabilities' logarithms or logits, by what they are given instead. */
const LOSSES = [
  {
    type: nn.BCEWithLogitsLoss,
    op: sigmoid,
    message:
      "BCEWithLogitsLoss applies the sigmoid itself: with another one before it, gradients are small and the loss can't come near 0. Give it the scores, or use BCELoss.",
  },
  {
    type: nn.NLLLoss,
    op: softmax,
    message:
      "NLLLoss expects logarithms of probabilities: use LogSoftmax before it, or CrossEntropyLoss of the scores.",
  },
];
const DOUBLE_SOFTMAX =
  "CrossEntropyLoss applies log_softmax itself: with a softmax before it, gradients are small and the loss can't come near 0. Give it the scores.";

/** Watches a training step for what runs, but is probably a mistake. */
export class StepLints {
  readonly #text: string;
  readonly #fallback: SourcePosition | undefined;
  readonly #found: CodeWarning[] = [];
  readonly #called = new Set<object>();
  readonly #read = new Set<Storage>();
  #target: Value | undefined;

  /**
   * @param text The file's, which tells what parts of it that weren't reached may do
   * @param fallback Where the experiment is defined
   */
  constructor(text: string, fallback: SourcePosition | undefined) {
    this.#text = text;
    this.#fallback = fallback;
  }

  get found(): readonly CodeWarning[] {
    return this.#found;
  }

  /** @param target The batch's last tensor */
  async watch(optimizers: Optimizers, target: Tensor | undefined, body: () => unknown): Promise<void> {
    this.#target = target?.value;
    const { onNode, onCall } = scope;
    scope.onNode = (node) => {
      onNode?.(node);
      this.#look(node);
    };
    scope.onCall = (module, input) => {
      this.#called.add(module);
      this.#lookAtLoss(module, input);
      return onCall?.(module, input) ?? (() => undefined);
    };
    const told = setWarningSink((message) => this.#library(message));
    const release = optimizersOf(optimizers).map((optimizer) => this.#follow(optimizer));
    try {
      await body();
    } finally {
      for (const one of release) one();
      setWarningSink(told);
      scope.onNode = onNode;
      scope.onCall = onCall;
    }
  }

  #add(code: CodeWarning["code"], message: string, position: SourcePosition | undefined): void {
    const at = position ?? this.#fallback;
    if (at !== undefined) this.#found.push({ code, message, position: at });
  }

  /** Warnings of the library, at the line that led to them. */
  #library(message: string): void {
    const code = message.startsWith("Using a target size") ? "targetSize" : "library";
    this.#add(code, message, userFrames(new Error(SITE))[0]);
  }

  #look(node: Node): void {
    for (const { producer } of node.inputs) if (producer.kind === "state") this.#read.add(producer.storage);
    this.#lookForOuterPairs(node);
    if (!LOGARITHMS.includes(node.op)) return;
    const before = sourceOf(node.inputs[0]!);
    if (before?.op === softmax) this.#add("softmaxBeforeLoss", DOUBLE_SOFTMAX, siteOf(before));
  }

  /** A loss written out that pairs every output with every target: [N, 1] and [N] broadcast to [N, N]. */
  #lookForOuterPairs({ inputs, outputs: [result], site }: Node): void {
    const [a, b, more] = inputs;
    if (a === undefined || b === undefined || more !== undefined || result === undefined) return;
    if (numel(result.shape) <= Math.max(numel(a.shape), numel(b.shape))) return;
    const [x, y] = [arranged(a), arranged(b)];
    const output = x === this.#target ? y : y === this.#target ? x : undefined;
    if (output === undefined || output === this.#target || !isTrained(output)) return;
    if (this.#found.some(({ code }) => code === "targetSize")) return;
    const [from, to] = x === this.#target ? [b, a] : [a, b];
    this.#add(
      "targetSize",
      `The output's shape ${formatShape(from.shape)} and the target's ${formatShape(to.shape)} broadcast to ${formatShape(result.shape)}: each output is compared with every target. Give both one shape.`,
      site === undefined ? undefined : userFrames(site)[0],
    );
  }

  #lookAtLoss(module: object, [input]: readonly unknown[]): void {
    const loss = LOSSES.find(({ type }) => module instanceof type);
    const before = loss === undefined || !(input instanceof Tensor) ? undefined : sourceOf(input.value);
    if (before !== undefined && before.op === loss?.op)
      this.#add("softmaxBeforeLoss", loss.message, siteOf(before));
  }

  /** Looks at an optimizer's first step. */
  #follow(optimizer: Optimizer): () => void {
    const step: (closure?: () => unknown) => unknown = optimizer.step.bind(optimizer);
    const looked = (closure?: () => unknown): unknown => {
      // A closure computes the gradients inside.
      if (closure === undefined) this.#lookAtStep(optimizer, userFrames(new Error(SITE))[0]);
      return step(closure);
    };
    Object.defineProperty(optimizer, "step", { value: looked, configurable: true });
    return () => Reflect.deleteProperty(optimizer, "step");
  }

  #lookAtStep(optimizer: Optimizer, position: SourcePosition | undefined): void {
    // A step of the library's own loop, or in a file that isn't checked.
    if (position === undefined || position.file !== this.#fallback?.file) return;
    const hasGradients = optimizer.paramGroups.some(({ params }) => params.some(({ grad }) => grad !== null));
    if (!hasGradients)
      this.#add(
        "noBackward",
        "No parameter of this optimizer has a gradient, so the step changes nothing: call loss.backward() before it.",
        position,
      );
    else if (!/\bzeroGrad\b|\.grad\s*=/.test(this.#text))
      this.#add(
        "zeroGrad",
        "Gradients are never reset, so every step adds to those of all steps before: call optimizer.zeroGrad() before backward().",
        position,
      );
  }

  /** Layers of the model that the step neither called nor read, each without those inside it. */
  lookForUnused(model: Module): void {
    const unused = (module: Module): boolean =>
      module.modules().every((one) => !this.#called.has(one)) &&
      module
        .parameters()
        .every(({ value: { producer } }) =>
          producer.kind !== "state" ? true : !this.#read.has(producer.storage),
        );
    const visit = (path: string, module: Module): void => {
      for (const [name, child] of module.namedChildren()) {
        const inner = path === "" ? name : `${path}.${name}`;
        if (!unused(child)) {
          if (!isOurs(child)) visit(inner, child);
        } else if (!this.#mentioned(name)) this.#addUnused(inner, child);
      }
    };
    if (!isOurs(model)) visit("", model);
  }

  /** Whether a property is read anywhere, as in a branch that this step didn't take. An item of a list has no name. */
  #mentioned(name: string): boolean {
    if (!/^[A-Za-z_$][\w$]*$/.test(name)) return true;
    // `this[name]`, `{ fc } = this` and walks over the children name it in other ways.
    if (/\bthis\s*\[|\}\s*=\s*this\b|\b(?:named)?(?:[cC]hildren|[mM]odules)\s*\(/.test(this.#text))
      return true;
    const uses = new RegExp(`\\.${name.replaceAll("$", "\\$")}\\b(?!\\s*=[^=])`);
    return uses.test(this.#text);
  }

  #addUnused(path: string, module: Module): void {
    const position = positionOf(module);
    if (position?.file !== this.#fallback?.file || position === undefined) return;
    const count = module.parameters().reduce((sum, one) => sum + one.numel(), 0);
    const weights = count === 0 ? "" : ` Its ${count.toLocaleString("en-US")} parameters are never trained.`;
    this.#found.push({
      code: "unusedLayer",
      message: `${path} (${module.constructor.name}) is never called.${weights}`,
      position,
      unused: true,
    });
  }
}

function optimizersOf(optimizers: Optimizers): Optimizer[] {
  return optimizers instanceof Optimizer ? [optimizers] : Object.values(optimizers);
}

/** The node that a value comes from, but for rearrangements. */
function sourceOf(value: Value): Node | undefined {
  const { producer } = arranged(value);
  return producer.kind === "node" ? producer : undefined;
}

/** The value that another one is a rearrangement of. */
function arranged(value: Value): Value {
  let one = value;
  while (one.producer.kind === "node" && ARRANGING.includes(one.producer.op)) one = one.producer.inputs[0]!;
  return one;
}

/** Whether parameters or other state have a part in a value. */
function isTrained(value: Value): boolean {
  const waiting = [value];
  const met = new Set<Value>();
  for (let one = waiting.pop(); one !== undefined; one = waiting.pop()) {
    if (one.producer.kind === "state") return true;
    if (one.producer.kind !== "node" || met.has(one)) continue;
    met.add(one);
    waiting.push(...one.producer.inputs);
  }
  return false;
}

function siteOf({ site }: Node): SourcePosition | undefined {
  return site === undefined ? undefined : userFrames(site)[0];
}
