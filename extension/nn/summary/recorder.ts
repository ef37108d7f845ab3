import { costOf } from "../../tensor/recording/op.ts";
import { scope } from "../../tensor/recording/scope.ts";
import type { Parameter } from "../../tensor/core/tensor.ts";
import type { Module } from "../module/module.ts";
import { LayerInfo, ModuleFacts, type Place } from "./layerInfo.ts";

/** Watches a model's modules being called, and counts the multiply-adds that each records. Nothing is computed for it. */
export class CallRecorder {
  readonly model: Module;
  readonly #batchDim: number | undefined;
  readonly #places: readonly Place[];
  readonly #facts = new Map<Module, ModuleFacts>();
  readonly #met = new Set<Module>();
  /** Parameters of called modules, and whether any of the calls could have trained them. */
  readonly #trainable = new Map<Parameter, boolean>();
  /** For each call from outside the model, all calls that it led to, in their order. */
  readonly #passes: LayerInfo[][] = [];
  /** Calls that have not returned. */
  readonly #running: LayerInfo[] = [];
  #rows: readonly LayerInfo[] | undefined;

  constructor(model: Module, batchDim?: number) {
    this.model = model;
    this.#batchDim = batchDim;
    this.#places = placesOf(model);
  }

  /** Runs `body`, in which the model is called. What was called before an error is kept. */
  async record(body: () => unknown): Promise<void> {
    const stop = this.#start();
    try {
      await body();
    } finally {
      stop();
    }
  }

  /** The same for a `body` that is not async. */
  recordSync(body: () => unknown): void {
    const stop = this.#start();
    try {
      body();
    } finally {
      stop();
    }
  }

  #start(): () => void {
    // A module that has several places is shown at its last.
    const places = new Map(this.#places.map((place) => [place.module, place]));
    const handles = [...places].flatMap(([module, place]) => [
      module.registerForwardPreHook((_, input) => {
        const call = this.#meet(place);
        for (const parameter of module.parameters(false))
          this.#trainable.set(parameter, parameter.requiresGrad || this.#trainable.get(parameter) === true);
        call.begins(input, this.#batchDim);
        if (this.#running.length === 0) this.#passes.push([]);
        this.#passes.at(-1)!.push(call);
        this.#running.push(call);
      }),
      module.registerForwardHook((_, input, output) => {
        // Calls that ended with an error never return.
        while (this.#running.at(-1)!.module !== module) this.#running.pop();
        const call = this.#running.pop()!;
        call.begins(input, this.#batchDim);
        call.ends(output, this.#batchDim);
      }),
    ]);
    const before = scope.onNode;
    scope.onNode = (node) => {
      before?.(node);
      const call = this.#running.at(-1);
      if (call !== undefined) call.ownMultAdds += costOf(node);
    };
    return () => {
      scope.onNode = before;
      this.#running.length = 0;
      for (const handle of handles) handle.remove();
    };
  }

  #meet(place: Place): LayerInfo {
    const { module } = place;
    const recursive = this.#met.has(module);
    this.#met.add(module);
    return new LayerInfo(place, this.factsOf, recursive);
  }

  /**
   * Returns a module's facts; call it after the module's calls. A parameter that a training step freezes for a while,
   * as that of a GAN's discriminator while the generator trains, is trainable if it was in any call.
   */
  readonly factsOf = (module: Module): ModuleFacts => {
    const known =
      this.#facts.get(module) ??
      new ModuleFacts(module, (parameter) => this.#trainable.get(parameter) ?? parameter.requiresGrad);
    this.#facts.set(module, known);
    return known;
  };

  /** Whether anything was called. */
  get called(): boolean {
    return this.#passes.length > 0;
  }

  /** Rows of the summary, each after the one it is in: the calls of one forward pass, or all modules if none was called. */
  rows(): readonly LayerInfo[] {
    return (this.#rows ??= numbered(
      this.called ? this.#calledRows() : this.#places.map((place) => this.#meet(place)),
    ));
  }

  /**
   * The model's first call or, where only parts of it are called, all calls of them, with rows for containers that are
   * not called, such as a ModuleList.
   */
  #calledRows(): LayerInfo[] {
    const calls = this.#passes.find(([first]) => first!.depth === 0) ?? this.#passes.flat();
    const rows: LayerInfo[] = [];
    /** The newest row's ancestors and itself, by depth. */
    const branch: Module[] = [];
    for (const call of calls) {
      const ancestors: Place[] = [];
      for (let place = call.place.parent; place !== undefined; place = place.parent) ancestors.unshift(place);
      for (const place of ancestors) {
        if (branch[place.depth] === place.module) continue;
        rows.push(this.#meet(place));
        branch.length = place.depth;
        branch[place.depth] = place.module;
      }
      rows.push(call);
      branch.length = call.depth;
      branch[call.depth] = call.module;
    }
    return rows;
  }
}

/** Gives each row its number among those of its depth, and the rows below it. */
function numbered(rows: readonly LayerInfo[]): readonly LayerInfo[] {
  const counts: number[] = [];
  rows.forEach((row, i) => {
    row.depthIndex = counts[row.depth] = (counts[row.depth] ?? 0) + 1;
    const end = rows.findIndex((other, j) => j > i && other.depth <= row.depth);
    row.children = rows.slice(i + 1, end < 0 ? undefined : end);
  });
  return rows;
}

/** Every place of every module, each after its parent. */
function placesOf(model: Module): Place[] {
  const out: Place[] = [];
  const above = new Set<Module>();
  const visit = (place: Place): void => {
    out.push(place);
    above.add(place.module);
    for (const [varName, module] of place.module.ownChildren())
      // A module may know one that it is in.
      if (module !== null && !above.has(module))
        visit({ module, varName, depth: place.depth + 1, parent: place });
    above.delete(place.module);
  };
  visit({ module: model, varName: model.constructor.name, depth: 0, parent: undefined });
  return out;
}
