import type { EvaluationResult } from "../engine.ts";
import type { EvaluationReport } from "../evaluation.ts";
import type { DiagramLook, FlowLayout } from "../flow.ts";
import type { ModelReport } from "../preview.ts";

/** The model that a run has trained, laid out. */
export interface RunDiagram {
  model: ModelReport;
  look: DiagramLook;
  places: FlowLayout;
}

/** Samples of the newest evaluation of a run. */
export interface RunSamples
  extends Pick<EvaluationReport, "split" | "hardest" | "examples">, Pick<EvaluationResult, "classes"> {
  /** Id of the evaluation's run. */
  evaluation: string;
}

/** Most samples of each kind in a report. */
export const REPORT_SAMPLES = 12;

/** Parts of a run's report that its panel doesn't show. */
export interface ReportMethods {
  /** Null where the run's version of the model can't be built, or may be built at the user's request only. */
  diagram(look: DiagramLook): Promise<RunDiagram | null>;
  /** Null where the run was not evaluated. */
  samples(): Promise<RunSamples | null>;
}
