import * as v from "valibot";
import { UserError, SourcePosition } from "./errors.ts";
import type { Hello } from "./engine.ts";
import { DiagramLook, FlowGraph, type FlowLayout } from "./flow.ts";
import { TableOptions } from "./summary.ts";

/** One row of a model's summary, in the order in which modules are called (uncalled ones follow). */
export const SummaryRow = v.object({
  /** Dotted path, "" for the model itself. */
  path: v.string(),
  depth: v.number(),
  className: v.string(),
  /** PyTorch's extra_repr, such as "in_features=10, out_features=5, bias=True". */
  detail: v.string(),
  inputShape: v.optional(v.string()),
  outputShape: v.optional(v.string()),
  /** Names of the output's dimensions, where this or an earlier layer sets them: "[batch, channels, height, width]". */
  outputAxes: v.optional(v.string()),
  /** Of convolutions and pools: "[3, 3]", or "2" where one number is enough. */
  kernelShape: v.optional(v.string()),
  /** How often one forward pass calls it; 0 for a container whose children are called instead. */
  calls: v.optional(v.number()),
  parameters: v.number(),
  trainable: v.number(),
  /** Multiply-adds of one forward pass, of this module and all inside it. */
  multiplyAdds: v.optional(v.number()),
  /** Bytes of its parameters and of the outputs of the layers in it, in one forward pass. */
  memoryBytes: v.optional(v.number()),
  /** Its own parameters, without those of modules inside. */
  weights: v.optional(
    v.array(
      v.object({
        name: v.string(),
        shape: v.string(),
        /** True if it gets no gradient. */
        frozen: v.optional(v.boolean()),
      }),
    ),
  ),
  /** Where the user's code created the module; for the model itself, its class. */
  position: v.optional(SourcePosition),
});
export type SummaryRow = v.InferOutput<typeof SummaryRow>;

/** A tensor's shape and dtype. Sizes that grow with the batch are texts: "N", "7N". */
export const TensorType = v.object({
  shape: v.array(v.union([v.number(), v.string()])),
  dtype: v.string(),
});
export type TensorType = v.InferOutput<typeof TensorType>;

/** A call seen while the model ran: of a module, or of a function or method inside a `forward`. */
export const CallReport = v.object({
  /** The user's call; a module that the library calls, such as one in a Sequential, has none. */
  position: v.optional(SourcePosition),
  /** Dotted path of the module that was called. */
  path: v.optional(v.string()),
  /** Class of the module, or the op that gave the result. */
  name: v.string(),
  inputs: v.array(TensorType),
  outputs: v.array(TensorType),
  /** How often it was called with these shapes. */
  times: v.number(),
});
export type CallReport = v.InferOutput<typeof CallReport>;

/** Kinds of probable mistakes in code that runs. Each has a setting of its name. */
export const WARNINGS = [
  "unusedLayer",
  "softmaxBeforeLoss",
  "targetSize",
  "zeroGrad",
  "noBackward",
  "noValidation",
  "library",
] as const;
export const CodeWarning = v.object({
  code: v.picklist(WARNINGS),
  message: v.string(),
  position: SourcePosition,
  /** Code that nothing uses: the editor fades it. */
  unused: v.optional(v.boolean()),
});
export type CodeWarning = v.InferOutput<typeof CodeWarning>;

/** Where a forward reads values, such as by `item()`: a preview takes them as 0. */
export const ValueReport = v.object({
  places: v.array(SourcePosition),
  /** Whether it came to its end; if not, what follows is missing. */
  complete: v.boolean(),
});
export type ValueReport = v.InferOutput<typeof ValueReport>;

export const ModelReport = v.object({
  /** Class name. */
  name: v.string(),
  /** Of a class that experiments build in several forms, such as other sizes: the exports that build this one. */
  form: v.optional(v.string()),
  /** Export names of the experiments that build it. */
  experiments: v.array(v.string()),
  /** print(model). */
  text: v.string(),
  rows: v.array(SummaryRow),
  parameters: v.object({ total: v.number(), trainable: v.number() }),
  /** Multiply-adds and bytes of parameters and activations, for the batch shown in the rows' shapes. */
  multiplyAdds: v.optional(v.number()),
  parameterBytes: v.number(),
  activationBytes: v.optional(v.number()),
  /** Bytes of the input, and of the outputs of layers with parameters with their gradients: torchinfo's estimate. */
  inputBytes: v.optional(v.number()),
  forwardBackwardBytes: v.optional(v.number()),
  /** The diagram, as far as forward came. */
  flow: v.optional(FlowGraph),
  /** torchinfo's table, if requested. */
  summary: v.optional(v.string()),
  /** In their order, if requested. */
  calls: v.optional(v.array(CallReport)),
  /** If its forward reads values. */
  reads: v.optional(ValueReport),
  /** Why there are no shapes: forward failed. */
  error: v.optional(UserError),
});
export type ModelReport = v.InferOutput<typeof ModelReport>;

export const ExperimentReport = v.object({
  exportName: v.string(),
  model: v.string(),
  epochs: v.number(),
  settings: v.record(v.string(), v.union([v.string(), v.number(), v.boolean()])),
});
export type ExperimentReport = v.InferOutput<typeof ExperimentReport>;

export const FileError = v.object({
  ...UserError.entries,
  /** The experiment's export, or the class, that can't be built or has no data for it; none of the file's own errors. */
  of: v.optional(v.string()),
});
export type FileError = v.InferOutput<typeof FileError>;

/** Models and experiments of a file. `errors`: syntax errors, exceptions, timeouts; built models are still listed. */
export const FileReport = v.object({
  file: v.string(),
  models: v.array(ModelReport),
  experiments: v.array(ExperimentReport),
  errors: v.array(FileError),
  /** If requested. */
  warnings: v.optional(v.array(CodeWarning)),
  /** The files that it imports, packages left out: absolute paths. */
  imported: v.optional(v.array(v.string())),
});
export type FileReport = v.InferOutput<typeof FileReport>;

/** Where a version of a file finds its imports: a commit's files, or those kept by a run. */
export const VersionSource = v.variant("kind", [
  v.object({ kind: v.literal("git"), git: v.string(), revision: v.picklist(["HEAD"]) }),
  v.object({ kind: v.literal("run"), directory: v.string() }),
]);
export type VersionSource = v.InferOutput<typeof VersionSource>;

export const InspectRequest = v.object({
  file: v.string(),
  /** The editor's unsaved text, when it differs from the disk. */
  text: v.optional(v.string()),
  /** Asks for another version, whose own text is `text`. */
  version: v.optional(VersionSource),
  /** Asks for each model's table. */
  summary: v.optional(TableOptions),
  /** Asks for each model's calls and for warnings: what an editor shows while the file is typed. */
  calls: v.optional(v.boolean()),
  /** Bytes of memory that the process may have. */
  memory: v.optional(v.number()),
  /** A token that the message {@link Remains} repeats, so that user code can't forge it. */
  turn: v.optional(v.string()),
});
export type InspectRequest = v.InferOutput<typeof InspectRequest>;

/** The part of a model to lay out. */
export const LayoutRequest = v.object({
  flow: FlowGraph,
  rows: v.array(v.pick(SummaryRow, ["path", "className", "detail", "parameters"])),
  look: DiagramLook,
});
export type LayoutRequest = v.InferOutput<typeof LayoutRequest>;

/** Trouble with user code, which the engine reports before its answer or in place of one. */
export const Trouble = v.object({
  /** Where the code hangs. Undefined while it waits, or runs code that isn't the file's. */
  position: v.optional(SourcePosition),
  /** Names of the shared objects that the code has changed: "Array.prototype.map". */
  changed: v.array(v.string()),
});
export type Trouble = v.InferOutput<typeof Trouble>;

/** Side effects of a preview in its process; if both lists are empty, the process can preview another file. */
export const Remains = v.object({
  /** As in {@link Trouble}. */
  changed: v.array(v.string()),
  /** Kinds of activities that still run: "Timeout", "a child process". */
  running: v.array(v.string()),
  /** The request's. */
  turn: v.optional(v.string()),
});
export type Remains = v.InferOutput<typeof Remains>;

/** Most files that a report lists as imported. */
export const MOST_IMPORTS = 1000;

/** Methods of the preview engine. A call that exceeds the supervisor's limit gets the process killed and restarted. */
export interface PreviewEngineMethods {
  inspect(request: InspectRequest): Promise<FileReport>;
  /** Starts the layout's thread. */
  prepareLayout(): Promise<void>;
  /** In a thread of its own, so that a file that is being inspected doesn't wait for it. */
  layOut(request: LayoutRequest): Promise<FlowLayout>;
}
export interface PreviewEngineEvents {
  hello(hello: Hello): void;
  /** Sent before a file's code runs: a file that hangs is built again when one of these changes. */
  imports(files: string[]): void;
  /**
   * Sent from a watchdog while user code hangs, so that the supervisor knows where before it kills the process; and
   * before the answer of a file that has changed shared objects.
   */
  trouble(trouble: Trouble): void;
  /** Side effects of a preview, a moment after its answer. */
  remains(remains: Remains): void;
}
