/** The complete state of the evaluation panel; its views are functions of it. */
import type { Answer, SampleQuery, SampleView, Subject } from "../../extension/protocol/evaluation.ts";
import type { EvaluationResult } from "../../extension/protocol/engine.ts";
import type {
  AblationProgress,
  AblationScope,
  ActivationQuery,
  Intervention,
  InterventionAnswer,
  LayerPart,
  Ranking,
  Replacement,
} from "../../extension/protocol/interventions.ts";
import type { EvaluationSnapshot } from "../../extension/protocol/views.ts";
import type { UserError } from "../../extension/protocol/errors.ts";

export type SortKey = "class" | "precision" | "recall" | "f1" | "support";
export type Order = "hardest" | "wrong" | "index";

/** The user's settings of the panel; saved when it is hidden or closed. */
export interface EvaluationUi {
  /** Whether cells show shares of their row. */
  shares: boolean;
  sort: SortKey;
  descending: boolean;
  order: Order;
  /** The chosen cell of the matrix; -1 for none. */
  actual: number;
  predicted: number;
  explain: boolean;
  /** Index of the predicted value that is plotted. */
  output: number;
  /** Whether the section of interventions is open. */
  intervene: boolean;
  /** Key of the layer whose units are shown; "" for the first. */
  layer: string;
  /** Value that a click gives a unit. */
  replacement: Replacement["mode"];
  /** The sample whose values replace those of units. */
  donor: number;
  rankFor: AblationScope["kind"];
}

export const defaultUi: EvaluationUi = {
  shares: false,
  sort: "class",
  descending: false,
  order: "hardest",
  actual: -1,
  predicted: -1,
  explain: true,
  output: 0,
  intervene: false,
  layer: "",
  replacement: "zero",
  donor: 0,
  rankFor: "subject",
};

/** The listed samples. */
export interface Listing {
  samples: readonly SampleView[];
  total: number;
  loading: boolean;
  error?: UserError;
}

/** The model's last input, and its prediction. */
export interface Asked {
  subject: Subject | undefined;
  answer: Answer | undefined;
  asking: boolean;
  error?: UserError;
}

/** A layer, or the heads of its attention; of a module whose calls give different shapes, one call. */
export interface LayerAt {
  layer: string;
  part: LayerPart;
  call?: number | undefined;
}

export const layerKey = ({ layer, part, call }: LayerAt): string => `${part}:${call ?? ""}:${layer}`;

/** The place alone, for messages. */
export const placeOf = ({ layer, part, call }: LayerAt): LayerAt =>
  call === undefined ? { layer, part } : { layer, part, call };

/** Changed units, their effects, and the ranking of units. */
export interface Intervening {
  interventions: readonly Intervention[];
  answer: InterventionAnswer | undefined;
  asking: boolean;
  error: UserError | undefined;
  /** Whether all units of a large layer are shown. */
  all: boolean;
  ranking: {
    running: boolean;
    progress?: AblationProgress;
    result?: Ranking;
    error?: UserError;
    /** Whether all ranked units are shown. */
    all: boolean;
  };
}

export const noInterventions = (): Intervening => ({
  interventions: [],
  answer: undefined,
  asking: false,
  error: undefined,
  all: false,
  ranking: { running: false, all: false },
});

export interface EvaluationState extends EvaluationSnapshot {
  ui: EvaluationUi;
  listing: Listing;
  asked: Asked;
  intervening: Intervening;
  /** The values and the text in the form. */
  row: number[];
  text: string;
  /** Index of the shown picture, and the pictures fetched so far, in base64. */
  picture: number;
  fetched: ReadonlyMap<string, string>;
  pending: ReadonlySet<string>;
  notice: string | undefined;
}

export function fromSnapshot(snapshot: EvaluationSnapshot, ui: EvaluationUi): EvaluationState {
  const { report, pictures } = snapshot;
  const input = report?.input;
  return {
    ...snapshot,
    ui,
    listing: firstPage(snapshot, ui) ?? { samples: [], total: 0, loading: false },
    asked: { subject: undefined, answer: undefined, asking: false },
    intervening: noInterventions(),
    row: input?.kind === "row" ? input.columns.map(({ start }) => start) : [],
    text: "",
    picture: Math.max(0, pictures.length - 1),
    fetched: new Map(),
    pending: new Set(),
    notice: undefined,
  };
}

/** The hardest samples, which the report contains: showing them needs no request. */
export function firstPage(
  { report }: Pick<EvaluationSnapshot, "report">,
  ui: EvaluationUi,
): Listing | undefined {
  if (report === undefined || ui.order !== "hardest" || ui.actual >= 0 || ui.predicted >= 0) return undefined;
  return { samples: report.hardest, total: report.listed, loading: false };
}

export function queryOf(ui: EvaluationUi, offset: number, count: number): SampleQuery {
  return {
    order: ui.order === "index" ? "index" : "hardest",
    ...(ui.order === "wrong" ? { wrong: true } : {}),
    ...(ui.actual >= 0 ? { actual: ui.actual } : {}),
    ...(ui.predicted >= 0 ? { predicted: ui.predicted } : {}),
    offset,
    count,
  };
}

const names = new WeakMap<EvaluationResult, string[]>();

/** The names of the classes, by index; the same array for one result, so that it causes no redraw. */
export function classNames({ result }: EvaluationSnapshot): string[] {
  if (result === undefined) return [];
  const known = names.get(result);
  if (known !== undefined) return known;
  const found = Array.from(
    { length: result.confusion?.length ?? 0 },
    (_, index) => result.classes?.[index] ?? String(index),
  );
  names.set(result, found);
  return found;
}

export const nameOf = (names: readonly string[], index: number): string => names[index] ?? String(index);

export interface InterveneActions {
  /** Opens or closes the section. */
  open(open: boolean): void;
  show(layer: LayerAt): void;
  /** Changes a unit of a layer as chosen, or restores it. */
  toggle(layer: LayerAt, unit: number): void;
  /** Shows a layer's output for the input, or the attention of its heads, in the tensor viewer. */
  view(layer: LayerAt, of: ActivationQuery["of"]): void;
  restore(intervention: Intervention): void;
  /** Chooses the value that the next click gives a unit. */
  set(part: Partial<Pick<EvaluationUi, "replacement" | "donor">>): void;
  reset(): void;
  showAll(): void;
  rankFor(kind: AblationScope["kind"]): void;
  rank(): void;
  stop(): void;
  showAllRanked(): void;
}

export interface Actions {
  cancel(): void;
  again(): void;
  attach(): void;
  openTraining(): void;
  showLog(): void;
  openSource: (file: string, line?: number, column?: number) => void;
  setUi(part: Partial<EvaluationUi>): void;
  /** Lists the samples of a cell, or with -1 of all. */
  choose(actual: number, predicted: number): void;
  order(order: Order): void;
  more(): void;
  ask(subject: Subject): void;
  setRow(index: number, value: number): void;
  setText(text: string): void;
  showPicture(index: number): void;
  intervene: InterveneActions;
  dismissNotice(): void;
}
