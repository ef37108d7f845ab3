import type { PanelControl, RunControls } from "./controls.ts";
import type { UserError } from "./errors.ts";
import type { EvaluationResult, Progress } from "./engine.ts";
import type { Answer, EvaluationReport, SamplePage, SampleQuery, Subject } from "./evaluation.ts";
import type {
  AblationProgress,
  AblationQuery,
  ActivationQuery,
  InterventionAnswer,
  InterventionQuery,
  Ranking,
} from "./interventions.ts";
import type { OnnxModelView, OnnxNodeDetails } from "./tensors/onnxFile.ts";
import type { TensorComparison, TensorFile } from "./tensorFile.ts";
import type { TensorStatistics } from "./tensorValues.ts";
import type { ReportMethods } from "./history/report.ts";
import type { HistoryOf } from "./history/views.ts";
import type { LayerHistoryMethods } from "./layers/history.ts";
import type { LayerPictureMethods } from "./layers/pictures.ts";
import type { DiagramLook, FlowLayout } from "./flow.ts";
import type { FileReport, ModelReport } from "./preview.ts";
import type { Profile } from "./profile.ts";
import type { CheckpointRecord, MetricRow, LabelChanges, RunLabels, RunRecord } from "./run.ts";
import type { WeightStatistics } from "./tensorValues.ts";

/**
 * Messages between the extension host and its webviews, as birpc interfaces over postMessage. A webview calls
 * `ready` when its script runs; the host answers with one snapshot, then sends what changes while the view is visible.
 * A view that was hidden gets a new snapshot when it is shown: never a queue of deltas. postMessage carries JSON, so a
 * view reads a null metric as NaN.
 */
export interface TrainingSnapshot {
  run: RunRecord;
  /** Decimated to what a screen can show; the whole is in metrics.jsonl. */
  rows: MetricRow[];
  progress?: Progress;
  /** Seconds since the progress was measured. */
  progressAge?: number;
  /** False when the run ended or its process is gone. */
  live: boolean;
  /** Ids of the runs that must end before its turn; empty unless it waits in the queue. */
  waitsFor?: string[];
  /** Ids of runs to draw beside it from now on. */
  compare?: string[];
  telling?: Telling;
}

/** How a panel tells of its training, by the user's settings. */
export interface Telling {
  /** Seconds between two announcements of progress to screen readers at least; 0 for none. */
  progressInterval: number;
  /** Whether notable events have a sound. */
  sounds: boolean;
}

export interface TrainingViewMethods {
  snapshot(snapshot: TrainingSnapshot): void;
  rows(rows: MetricRow[]): void;
  record(run: RunRecord, live: boolean, waitsFor?: string[]): void;
  progress(progress: Progress): void;
}

/** Another training of the folder. */
export interface ListedRun {
  run: RunRecord;
  labels: RunLabels;
  live: boolean;
}

/** A run with its origin, as its directory records it. */
export type RunHistory = HistoryOf<RunRecord>;

/** The runs of the same folder, by their ids. */
export interface RunTableMethods {
  /** Trainings, newest first. */
  runs(): Promise<ListedRun[]>;
  /** A run's curves, as many rows as a screen can show. */
  rowsOf(id: string): Promise<MetricRow[]>;
  historyOf(id: string): Promise<RunHistory>;
  /** Changes these fields of the user's labels of a run. */
  label(id: string, labels: LabelChanges): Promise<void>;
  openRun(id: string): Promise<void>;
  /** Can be undone for a while. */
  deleteRun(id: string): Promise<void>;
  /** Asks where, and writes the export, given in base64. */
  saveFile(name: string, base64: string): Promise<void>;
}

export interface TrainingHostMethods
  extends RunTableMethods, LayerHistoryMethods, ReportMethods, Pick<RunControls, PanelControl> {
  ready(): Promise<TrainingSnapshot>;
  evaluate(checkpoint?: CheckpointRecord): Promise<void>;
  trainAgain(): Promise<void>;
  /** Trains the version that the run has kept, with its seed and settings. */
  runAgain(): Promise<void>;
  /** Shows that version. */
  openVersion(): Promise<void>;
  /** Resumes an interrupted training. */
  resumeRun(): Promise<void>;
  /** Resumes it from its last sound state, with smaller learning rates. */
  rollBack(): Promise<void>;
  /** Follows a run on another machine again. */
  attachRun(): Promise<void>;
  showLog(): Promise<void>;
  openSource(file: string, line?: number, column?: number): Promise<void>;
  revealCheckpoint(checkpoint: CheckpointRecord): Promise<void>;
  /** Pictures that the training has drawn so far. */
  pictures(): Promise<Picture[]>;
  /** One of them in base64. */
  picture(file: string): Promise<string>;
}

/** A version of the file's models, for a comparison. */
export interface ModelSide {
  /** "working", "head", "run:" with a run's id, "file:" with a path, or "file": the user picks one. */
  id: string;
  label: string;
}

/** The two sides of a comparison. */
export interface ArchitectureComparison {
  base: string;
  of: string;
  /** Of the base, if known; contains the error that prevents the comparison. */
  report?: FileReport;
}

/** A checkpoint that the diagram's details can show. */
export interface WeightFile {
  /** Absolute path, or "file": the user picks one. */
  id: string;
  label: string;
}

/** The values of a checkpoint's tensors. */
export interface ChosenWeights {
  id: string;
  /** Undefined while they are read. */
  tensors?: WeightStatistics[];
  /** Why they can't be read. */
  error?: string;
}

/** A training of the file whose layers were watched. */
export interface WatchedTraining {
  /** The run's id. */
  id: string;
  label: string;
}

/** A profile of a training step, or one under way. */
export interface ShownProfile {
  exportName: string;
  /** The current activity; undefined at the end. */
  doing?: string;
  profile?: Profile;
  /** Why it can't be measured. */
  error?: UserError;
  /** The file has changed since. */
  outdated?: boolean;
}

export interface ArchitectureSnapshot {
  file: string;
  /** The panel stays with the file; another's models get a panel of their own. */
  locked?: boolean;
  /** Versions to compare the models with; the typed file comes first. */
  sides?: ModelSide[];
  /** While present, `report` is that of its `of`. */
  comparison?: ArchitectureComparison;
  /** Checkpoints of this file's trainings, newest first. */
  weightFiles?: WeightFile[];
  weights?: ChosenWeights;
  profile?: ShownProfile;
  /** Trainings whose figures the diagram can show, newest first, and the chosen one's id. */
  trainings?: WatchedTraining[];
  training?: string;
  /** Which model is shown; the report has none of this title if it can't be built. */
  model?: string;
  /** Models that can't be built. */
  unbuiltModels?: string[];
  /** Its errors are those of the shown model, and of the file. */
  report?: FileReport;
  /** The last model that built, shown dimmed while the file has an error. */
  lastGood?: ModelReport;
  busy: boolean;
  /** The file has changed since it was built, and is built again on request only. */
  outdated?: boolean;
  /** Why nothing was built: the workspace is not trusted, or files are built on request only. */
  unbuilt?: "trust" | "request";
  /** Of the model that is drawn, when it is the file's first here: the page needs no layout engine for that. */
  layout?: GivenLayout;
}

export interface GivenLayout {
  look: DiagramLook;
  places: FlowLayout;
}

export interface ArchitectureViewMethods {
  snapshot(snapshot: ArchitectureSnapshot): void;
  /** The cursor stands on this line of the file, counted from 1. */
  cursor(line: number): void;
}

export type ImageFormat = "svg" | "png";

export interface ArchitectureHostMethods extends LayerHistoryMethods, LayerPictureMethods {
  ready(look: DiagramLook): Promise<ArchitectureSnapshot>;
  select(model: string): Promise<void>;
  openSource(file: string, line?: number, column?: number): Promise<void>;
  /** Like `openSource`, without taking the focus. */
  revealSource(file: string, line?: number, column?: number): Promise<void>;
  /** Runs the file's code to build its models, at the user's request. */
  build(): Promise<void>;
  manageTrust(): Promise<void>;
  train(exportName: string): Promise<void>;
  showData(exportName: string): Promise<void>;
  /** Shows one side's models as changes of another's: ids of {@link ModelSide}. */
  compare(base: string, of: string): Promise<void>;
  endComparison(): Promise<void>;
  /** Measures a training step of one of a model's experiments. */
  profile(model: string): Promise<void>;
  /** Stops profiling, or removes the profile. */
  endProfile(): Promise<void>;
  /** Keeps the panel with its file, or lets the next file take it. */
  lock(locked: boolean): Promise<void>;
  /** Shows the values in a checkpoint: the id of a {@link WeightFile}; none for "". */
  chooseWeights(id: string): Promise<void>;
  /** Shows the figures of a training's layers: the id of a {@link WatchedTraining}; none for "". */
  chooseTraining(id: string): Promise<void>;
  /** Saves a picture where the user says. @param content An SVG's text, a PNG's bytes as base64 */
  saveImage(name: string, format: ImageFormat, content: string): Promise<void>;
}

/** A file of tensors, and the one it is compared with. */
export interface TensorsSnapshot {
  tensors: TensorFile;
  /** It is a checkpoint of a run: its model can be evaluated, and trained on. */
  checkpoint: boolean;
  /** Absolute path. */
  other?: string;
}

/** An ONNX model, with its tensors. */
export interface OnnxSnapshot extends TensorsSnapshot {
  model: OnnxModelView;
}

export interface TensorsViewMethods {
  /** Share done of the current call, 0 to 1. */
  progress(share: number): void;
  /** The file, or the one to compare with, has changed: the view must request it again. */
  changed(): void;
}

export interface TensorsHostMethods {
  ready(): Promise<TensorsSnapshot>;
  /** Of a tensor by its place in the file; null for types that are no real numbers. */
  statistics(index: number): Promise<TensorStatistics | null>;
  /** Asks for the file to compare with; answers its path, null when none was chosen. */
  choose(): Promise<string | null>;
  compare(): Promise<TensorComparison>;
  /** The comparison is over. */
  forget(): Promise<void>;
  /** Shows the values of a tensor, by its place in the file. */
  view(index: number): Promise<void>;
  /** Evaluates the run's model with these weights. */
  evaluate(): Promise<void>;
  /** Trains on from them. */
  trainOn(): Promise<void>;
  cancel(): Promise<void>;
}

/** Methods for the editor of ONNX models: those for a file of tensors, and the graph's. */
export interface OnnxHostMethods extends TensorsHostMethods {
  ready(): Promise<OnnxSnapshot>;
  /** Details of the node that a box of the diagram shows; null for other boxes. */
  node(id: string): Promise<OnnxNodeDetails | null>;
  /** As the architecture panel's. */
  saveImage(name: string, format: ImageFormat, content: string): Promise<void>;
}

/** A picture that a training drew with `saveImage`, or that another tool logged. */
export interface Picture {
  file: string;
  name: string;
  /** The epoch or step of it. */
  at: number;
  unit: "epoch" | "step";
}

/** State of the process with the evaluated model, which starts on demand. */
export type ModelState = "closed" | "starting" | "ready";

export interface EvaluationSnapshot {
  run: RunRecord;
  live: boolean;
  /** As a training's. */
  waitsFor?: string[];
  progress?: Progress;
  result?: EvaluationResult;
  report?: EvaluationReport;
  pictures: Picture[];
  model: ModelState;
  /** Only a user action may start the model, since that runs the file's code. */
  manual?: boolean;
}

export interface EvaluationViewMethods {
  snapshot(snapshot: EvaluationSnapshot): void;
  progress(progress: Progress): void;
  model(state: ModelState): void;
  /** Of a ranking of units. */
  ranking(progress: AblationProgress): void;
}

/** A question returns undefined when a newer one replaced it, or it was cancelled. */
export interface EvaluationHostMethods {
  ready(): Promise<EvaluationSnapshot>;
  samples(query: SampleQuery): Promise<SamplePage | undefined>;
  ask(subject: Subject, explain: boolean): Promise<Answer | undefined>;
  /** The model's answer with and without changes of its units. */
  intervene(query: InterventionQuery): Promise<InterventionAnswer | undefined>;
  /** Shows a layer's tensor in the viewer. */
  viewActivation(query: ActivationQuery): Promise<void>;
  rankUnits(query: AblationQuery): Promise<Ranking | undefined>;
  /** Stops a ranking; the model stays loaded. */
  stopRanking(): Promise<void>;
  /** Cancels the evaluation, or the question. */
  cancel(): Promise<void>;
  /** In base64. */
  picture(file: string): Promise<string>;
  /** Again on the machine that the evaluation was on. */
  evaluateAgain(): Promise<void>;
  attachRun(): Promise<void>;
  openTraining(): Promise<void>;
  showLog(): Promise<void>;
  openSource(file: string, line?: number, column?: number): Promise<void>;
}

/**
 * State that a view keeps with `setState`: enough for the panel's serializer to restore its content, and the view's own
 * UI state, which only the view reads.
 */
export interface TrainingViewState {
  runId: string;
  /** Absolute path of the `.nn.ts` file, as in the run's record. */
  file: string;
  ui?: unknown;
}
export type EvaluationViewState = TrainingViewState;
export interface ArchitectureViewState {
  file: string;
  model?: string;
  locked?: boolean;
  ui?: unknown;
}

export interface TensorsViewState {
  ui?: unknown;
}

/** A webview states which view it is in `<body data-view="…">`. */
export type ViewKind =
  | "training"
  | "architecture"
  | "evaluation"
  | "tensors"
  | "onnx"
  | "sweep"
  | "data"
  | "dataFile"
  | "tensor";
