import { internal } from "../../../tensor/core/errors.ts";
import type { Choice } from "../../choices.ts";
import { MAX_CALL_STEPS, MAX_XLA_NODES, XLA_STEPS } from "../../tuning.ts";
import type { HotGraph } from "../../../tensor/recording/policy.ts";
import type { VaryingInputs } from "../feeding.ts";
import type { Blueprint } from "../graph/blueprint.ts";
import type { Graph } from "../graph/graphWriter.ts";
import { almostHot, isHot, whyNotXla } from "../graph/xla.ts";
import type { Program } from "../program.ts";
import { writeLoop } from "./stepLoop.ts";

/** The program that computes many steps of a plan in one call: TensorFlow's loop, or one that XLA has compiled. */
export class LoopProgram {
  /** Name under which the plan's steps are counted; empty for a plan that XLA isn't to compile. */
  name = "";
  /** Whether XLA has compiled the open program. */
  byXla = false;
  /** Whether the plan can be looped: no op of it is known to forbid that. */
  possible = true;
  #opened: Program | undefined;
  /** XLA's loop while XLA compiles it, and a function that waits for that. */
  #inBackground: { readonly program: Program; readonly ready: () => void } | undefined;
  #whyNotXla: string | undefined;
  /** Number of leaves that differ from step to step in the open loop. */
  #varied = 0;
  readonly #blueprint: Blueprint;
  readonly #promoted: ReadonlySet<number>;
  readonly #varying: VaryingInputs;
  readonly #program: (graph: Graph) => Program;

  /**
   * @param program opens a graph
   * @param gpu whether it computes on a GPU
   */
  constructor(
    blueprint: Blueprint,
    promoted: ReadonlySet<number>,
    varying: VaryingInputs,
    program: (graph: Graph) => Program,
    gpu: boolean,
  ) {
    this.#blueprint = blueprint;
    this.#promoted = promoted;
    this.#varying = varying;
    this.#program = program;
    this.#whyNotXla = whyNotXla(blueprint, gpu);
    if (this.#whyNotXla === undefined) this.name = blueprint.plan.graph;
  }

  get current(): Program {
    return this.#opened ?? internal("steps without a program");
  }

  get isOpen(): boolean {
    return this.#opened !== undefined;
  }

  /** Whether the open program can compute the next step. An input that was the same in all steps may have changed. */
  fits(xla: boolean): boolean {
    return this.isOpen && this.byXla === xla && (xla || this.#varied === this.#varying.leaves.size);
  }

  /** @returns false where the plan can't be looped */
  open(xla: boolean): boolean {
    this.#opened = xla ? this.#compiledByXla() : this.#written();
    if (this.#opened === undefined) return false;
    this.#varied = this.#varying.leaves.size;
    this.byXla = xla;
    return true;
  }

  #written(): Program | undefined {
    const graph = writeLoop(this.#blueprint, this.#promoted, this.#varying.leaves);
    this.possible = graph !== undefined;
    return graph && this.#program(graph);
  }

  /** Whether XLA computes the next step, by the training's count. Has XLA compile in time. */
  wantsXla(hot: HotGraph): boolean {
    if (this.name !== "" && almostHot(hot, this.name)) this.#compileInBackground();
    // The call above may have found that XLA can't.
    return this.name !== "" && isHot(hot, this.name);
  }

  #compileInBackground(): void {
    if (this.byXla || this.#inBackground !== undefined) return;
    const blueprint = this.#blueprint;
    const promoted = this.#promoted;
    // XLA's program must not depend on which inputs have changed so far.
    const graph = writeLoop(blueprint, promoted, blueprint.inputs(promoted), MAX_CALL_STEPS);
    if (graph === undefined) return this.#refuseXla("an op of it can't be part of a loop in the graph");
    if (graph.functions.find(({ name }) => name === "step")!.nodes.length > MAX_XLA_NODES)
      return this.#refuseXla(`it has more than ${MAX_XLA_NODES} TensorFlow nodes`);
    try {
      const program = this.#program(graph);
      this.#inBackground = { program, ready: program.prepare(blueprint.plan) };
    } catch {
      this.#refuseXla("this TensorFlow comes without it");
    }
  }

  /** Waits for XLA. Returns its program; undefined if it can't compile the plan. */
  #compiledByXla(): Program | undefined {
    this.#compileInBackground();
    const inBackground = this.#inBackground;
    this.#inBackground = undefined;
    try {
      inBackground?.ready();
      return inBackground?.program;
    } catch {
      inBackground?.program.close();
      this.#refuseXla("it can't compile one of the ops");
      return undefined;
    }
  }

  #refuseXla(why: string): void {
    this.name = "";
    this.#whyNotXla = why;
  }

  /** Whether XLA compiles the plan, and the reason. */
  get xlaChoice(): Pick<Choice, "chosen" | "why"> {
    if (this.#whyNotXla !== undefined) return { chosen: "no", why: this.#whyNotXla };
    return {
      chosen: this.byXla ? "yes" : `after ${XLA_STEPS} steps`,
      why: "a small step costs TensorFlow more for its nodes than for what they compute; compiling takes a while",
    };
  }

  /** Closes the open program; another may be opened. */
  release(): void {
    this.#opened?.close();
    this.#opened = undefined;
  }

  close(): void {
    this.release();
    if (this.#inBackground !== undefined) this.#compiledByXla()?.close();
  }
}
