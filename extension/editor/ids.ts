/**
 * Every id that the manifest and the code share. A test compares the manifest with this file.
 */
import type { Device } from "../protocol/device.ts";
import type { CheckpointRecord } from "../protocol/run.ts";

export const EXTENSION_ID = "layerwise.layerwise";

/** A model or experiment of a file; missing parts are asked of the user. */
export interface SourceTarget {
  /** Absolute path of the `.nn.ts` file. */
  file?: string;
  /** Name of an experiment's export. */
  exportName?: string;
  /** Class name of a model. */
  model?: string;
}

/** A file's URI, as VS Code's menus pass it. */
export interface MenuTarget {
  fsPath: string;
}

export interface RunTarget {
  /** Absolute path of the run directory. */
  directory: string;
}

export interface SweepTarget {
  /** Absolute path of the sweep's directory. */
  directory: string;
}

export interface ResumeTarget extends RunTarget {
  /** Resume from the last sound state with smaller learning rates, after NaN or infinite values. */
  rollback?: boolean;
}

export interface CheckpointTarget extends RunTarget {
  checkpoint: CheckpointRecord;
}

/** A checkpoint; by default the best one of a run. */
export interface EvaluationTarget extends RunTarget {
  checkpoint?: CheckpointRecord;
}

/** A variable of a paused program, as VS Code's menu of variables passes it. */
export interface DebuggedVariable {
  sessionId?: string;
  variable?: { name: string; evaluateName?: string };
}

/** Commands and their arguments. The palette passes none, a menu passes a URI. */
export interface CommandArguments {
  "layerwise.train": [target?: SourceTarget | MenuTarget];
  "layerwise.runOn": [target?: SourceTarget | MenuTarget];
  "layerwise.attachRun": [run?: RunTarget];
  "layerwise.debug": [target?: SourceTarget | MenuTarget];
  "layerwise.evaluate": [target?: SourceTarget | MenuTarget];
  "layerwise.evaluateOn": [target?: SourceTarget | MenuTarget | EvaluationTarget];
  "layerwise.preview": [target?: SourceTarget | MenuTarget];
  "layerwise.showData": [target?: SourceTarget | MenuTarget];
  "layerwise.compareArchitecture": [target?: SourceTarget | MenuTarget];
  "layerwise.profile": [target?: SourceTarget | MenuTarget];
  "layerwise.run": [target?: SourceTarget | MenuTarget];
  "layerwise.sweep": [target?: SourceTarget | MenuTarget];
  "layerwise.sweepOn": [target?: SourceTarget | MenuTarget];
  "layerwise.openSweep": [sweep?: SweepTarget];
  "layerwise.resumeSweep": [sweep?: SweepTarget];
  "layerwise.stop": [run?: RunTarget, selected?: readonly RunTarget[]];
  "layerwise.save": [run?: RunTarget];
  "layerwise.newModel": [];
  "layerwise.getStarted": [];
  "layerwise.useData": [file?: MenuTarget];
  "layerwise.importRuns": [file?: MenuTarget, selected?: MenuTarget[]];
  "layerwise.viewTensor": [variable?: DebuggedVariable];
  "layerwise.showLog": [];
  "layerwise.installNativeEngine": [];
  "layerwise.addTypes": [];
  "layerwise.openRuns": [];
  "layerwise.openRun": [run?: RunTarget];
  "layerwise.resumeRun": [run?: ResumeTarget];
  "layerwise.compareRuns": [run?: RunTarget, selected?: RunTarget[]];
  "layerwise.runAgain": [run?: RunTarget];
  "layerwise.openRunVersion": [run?: RunTarget];
  "layerwise.renameRun": [run?: RunTarget];
  "layerwise.tagRun": [run?: RunTarget];
  "layerwise.archiveRun": [run?: RunTarget, selected?: RunTarget[]];
  "layerwise.unarchiveRun": [run?: RunTarget, selected?: RunTarget[]];
  "layerwise.showArchivedRuns": [];
  "layerwise.hideArchivedRuns": [];
  "layerwise.revealRun": [run?: RunTarget];
  "layerwise.deleteRun": [run?: RunTarget, selected?: RunTarget[]];
  "layerwise.evaluateCheckpoint": [checkpoint?: EvaluationTarget];
  "layerwise.loadCheckpoint": [checkpoint?: CheckpointTarget];
  "layerwise.revealCheckpoint": [checkpoint?: CheckpointTarget];
  "layerwise.inspectCheckpoint": [checkpoint?: CheckpointTarget];
  "layerwise.compareCheckpoints": [checkpoint?: CheckpointTarget, selected?: CheckpointTarget[]];
  "layerwise.exportCheckpoint": [checkpoint?: CheckpointTarget];
  "layerwise.deleteCheckpoint": [checkpoint?: CheckpointTarget, selected?: CheckpointTarget[]];
  "layerwise.statusAction": [];
}
export type CommandId = keyof CommandArguments;

/** A record of all commands: a missing or unknown one is a type error. */
const commands: Record<CommandId, true> = {
  "layerwise.train": true,
  "layerwise.runOn": true,
  "layerwise.attachRun": true,
  "layerwise.debug": true,
  "layerwise.evaluate": true,
  "layerwise.evaluateOn": true,
  "layerwise.preview": true,
  "layerwise.showData": true,
  "layerwise.compareArchitecture": true,
  "layerwise.profile": true,
  "layerwise.run": true,
  "layerwise.sweep": true,
  "layerwise.sweepOn": true,
  "layerwise.openSweep": true,
  "layerwise.resumeSweep": true,
  "layerwise.stop": true,
  "layerwise.save": true,
  "layerwise.newModel": true,
  "layerwise.getStarted": true,
  "layerwise.useData": true,
  "layerwise.importRuns": true,
  "layerwise.viewTensor": true,
  "layerwise.showLog": true,
  "layerwise.installNativeEngine": true,
  "layerwise.addTypes": true,
  "layerwise.openRuns": true,
  "layerwise.openRun": true,
  "layerwise.resumeRun": true,
  "layerwise.compareRuns": true,
  "layerwise.runAgain": true,
  "layerwise.openRunVersion": true,
  "layerwise.renameRun": true,
  "layerwise.tagRun": true,
  "layerwise.archiveRun": true,
  "layerwise.unarchiveRun": true,
  "layerwise.showArchivedRuns": true,
  "layerwise.hideArchivedRuns": true,
  "layerwise.revealRun": true,
  "layerwise.deleteRun": true,
  "layerwise.evaluateCheckpoint": true,
  "layerwise.loadCheckpoint": true,
  "layerwise.revealCheckpoint": true,
  "layerwise.inspectCheckpoint": true,
  "layerwise.compareCheckpoints": true,
  "layerwise.exportCheckpoint": true,
  "layerwise.deleteCheckpoint": true,
  "layerwise.statusAction": true,
};
export const COMMANDS: readonly string[] = Object.keys(commands);
/** Commands that the manifest doesn't list: only the status bar item runs them. */
export const INTERNAL_COMMANDS: readonly CommandId[] = ["layerwise.statusAction"];

/** Settings without the prefix "layerwise.", with their types and defaults. */
export const SETTINGS = {
  device: "auto" as Device,
  threads: 0,
  nodePath: "",
  targets: {} as object,
  "runs.maxActive": 1,
  "runs.outlive": false,
  "runs.notifyAfter": 60,
  "runs.tensorboard": false,
  "runs.warmStart": true,
  "accessibility.progressInterval": 10,
  "accessibility.sounds": false,
  "lenses.enabled": true,
  "diagnostics.enabled": true,
  "preview.automatic": true,
  "preview.timeLimit": 5,
  "preview.memoryLimit": 2048,
  "preview.delay": 150,
  "hints.shapes": true,
  "hints.parameters": true,
  "hovers.enabled": true,
  "warnings.enabled": true,
  "warnings.unusedLayer": true,
  "warnings.softmaxBeforeLoss": true,
  "warnings.targetSize": true,
  "warnings.zeroGrad": true,
  "warnings.noBackward": true,
  "warnings.noValidation": false,
  "warnings.library": true,
};
export type SettingName = keyof typeof SETTINGS;

/** Context keys of the `when` clauses. */
export const CONTEXT_KEYS = {
  /** The workspace has `.nn.ts` files. */
  hasModels: "layerwise.hasModels",
  /** A debugger is attached to a training. */
  debugging: "layerwise.debugging",
  /** A run of this window is training or evaluating. */
  running: "layerwise.running",
  /** The workspace has runs on disk. */
  hasRuns: "layerwise.hasRuns",
  /** The view of runs shows archived ones too. */
  showsArchived: "layerwise.showsArchived",
} as const;

export const VIEWS = {
  container: "layerwise",
  models: "layerwise.models",
  runs: "layerwise.runs",
  checkpoints: "layerwise.checkpoints",
} as const;
/** Custom editors, by the kind of document. */
export const EDITORS = {
  tensors: "layerwise.tensors",
  onnx: "layerwise.onnx",
  run: "layerwise.run",
  events: "layerwise.events",
} as const;
export const PANELS = {
  training: "layerwise.training",
  architecture: "layerwise.architecture",
  evaluation: "layerwise.evaluation",
  sweep: "layerwise.sweepPanel",
  data: "layerwise.data",
  dataFile: "layerwise.dataFile",
  tensor: "layerwise.tensor",
} as const;
/** Of documents that show the version of a file that a run has kept. */
export const RUN_VERSION_SCHEME = "layerwise-run";
export const STATUS_ITEM = "layerwise.status";

/** `contextValue` of the side bar's items. */
export const TREE_ITEMS = {
  folder: "folder",
  modelFile: "file",
  /** A file with experiments. */
  experimentsFile: "file.experiments",
  model: "model",
  /** An experiment, or a model that has one. */
  trainable: "model.trainable",
  liveRun: "run.live",
  /** A run on another machine that nothing here follows. */
  remoteRun: "run.remote",
  /** A run that can be resumed. */
  interruptedRun: "run.interrupted",
  endedRun: "run.ended",
  archivedRun: "run.archived",
  checkpoint: "checkpoint",
  bestCheckpoint: "checkpoint.best",
} as const;

export const MODEL_FILE_SUFFIX = ".nn.ts";
export const MODEL_FILES = "**/*.nn.ts";

/** Of `layerwise mcp`, and of the tool that tells agents what only the editor knows. */
export const MCP_PROVIDER = "layerwise.mcp";
export const EDITOR_STATE_TOOL = "layerwise_editorState";

/** Task type, and the source in the names of tasks: "layerwise: train digits". */
export const TASK_TYPE = "layerwise";
export const TASK_COMMANDS = ["train", "sweep", "evaluate", "run"] as const;
export const PROBLEM_MATCHER = "layerwise";
export const DEBUG_TYPE = "layerwise";
export const WALKTHROUGH = "start";
