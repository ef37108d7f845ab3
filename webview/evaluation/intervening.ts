/** Asks the host for the effect of changed units, and for a ranking of the units. */
import type {
  AblationProgress,
  AblationQuery,
  AblationScope,
  ActivationQuery,
  Intervention,
  InterventionAnswer,
  InterventionQuery,
  Replacement,
  UnitLayer,
} from "../../extension/protocol/interventions.ts";
import type { EvaluationHostMethods } from "../../extension/protocol/views.ts";
import { formatShare } from "../shared/format.ts";
import { errorOf } from "../shared/host.ts";
import { strings } from "../shared/strings.ts";
import {
  classNames,
  layerKey,
  nameOf,
  noInterventions,
  placeOf,
  type EvaluationState,
  type EvaluationUi,
  type InterveneActions,
  type Intervening,
  type LayerAt,
} from "./state.ts";

/** Units that are changed at once; the host accepts more. */
const MAX_CHANGED = 128;

type Host = Pick<EvaluationHostMethods, "intervene" | "viewActivation" | "rankUnits" | "stopRanking">;

export interface InterveningOptions {
  host: Host;
  state: () => EvaluationState | undefined;
  change: (apply: (now: EvaluationState) => void) => void;
  setUi: (part: Partial<EvaluationUi>) => void;
  /** Tells screen readers. */
  say: (text: string) => void;
}

/** Requests to the model in addition to its predictions: changes of units, their tensors and rankings. */
export class InterventionRequests implements InterveneActions {
  readonly #options: InterveningOptions;
  /** Numbers of the newest question and ranking: answers to older ones are dropped. */
  #asked = 0;
  #ranked = 0;

  constructor(options: InterveningOptions) {
    this.#options = options;
  }

  /** Computes the changes for the model's last input. @param input Whether the input is a new one */
  refresh({ input = false } = {}): void {
    const state = this.#options.state();
    if (input && state?.ui.rankFor !== "set") this.#forgetRanking();
    if (!state?.ui.intervene || state.asked.subject === undefined) return;
    const { subject } = state.asked;
    const { interventions, answer } = state.intervening;
    const of = answer === undefined ? undefined : chosenLayer(state);
    this.#change((now) => ({ ...now, asking: true }));
    void this.#ask({
      subject,
      interventions: [...interventions],
      ...(of === undefined ? {} : { of: placeOf(of) }),
    });
  }

  async #ask(query: InterventionQuery): Promise<void> {
    const call = ++this.#asked;
    try {
      const answer = await this.#options.host.intervene(query);
      if (call !== this.#asked) return;
      this.#change((now) => ({ ...now, answer: answer ?? now.answer, asking: false, error: undefined }));
      if (answer !== undefined && query.interventions.length > 0) this.#announce(answer);
      // The first answer lists the layers, with the units of the first; another one may have been chosen before.
      const state = this.#options.state();
      const wanted = state && chosenLayer(state);
      const units = answer?.units;
      if (query.of === undefined && wanted && units && layerKey(wanted) !== layerKey(units)) this.refresh();
    } catch (error) {
      if (call === this.#asked) this.#change((now) => ({ ...now, asking: false, error: errorOf(error) }));
    }
  }

  #announce({ before, after, labels }: InterventionAnswer): void {
    const state = this.#options.state();
    if (state === undefined || before.predicted === undefined || after.predicted === undefined) return;
    const names = labels ?? classNames(state);
    const said = ({ predicted = 0, probabilities }: InterventionAnswer["after"]): string =>
      `${nameOf(names, predicted)} ${formatShare(probabilities?.[predicted] ?? 0)}`;
    this.#options.say(strings.evaluation.intervene.announce(said(before), said(after)));
  }

  open(open: boolean): void {
    this.#options.setUi({ intervene: open });
    if (open) this.refresh();
  }

  show(layer: LayerAt): void {
    this.#options.setUi({ layer: layerKey(layer) });
    this.#change((now) => ({ ...now, all: false }));
    this.#forgetRanking();
    this.refresh();
  }

  toggle(layer: LayerAt, unit: number): void {
    const state = this.#options.state();
    if (state === undefined) return;
    const { interventions } = state.intervening;
    const by = replacement(state.ui);
    const others = interventions.filter((one) => !(isOf(one, layer) && one.unit === unit));
    const before = interventions.find((one) => isOf(one, layer) && one.unit === unit);
    const restores = before !== undefined && sameReplacement(before.by, by);
    if (!restores && others.length >= MAX_CHANGED) {
      const message = strings.evaluation.intervene.full(MAX_CHANGED);
      this.#change((now) => ({ ...now, error: { code: "limit", message } }));
      return;
    }
    this.#change((now) => ({
      ...now,
      interventions: restores ? others : [...others, { ...placeOf(layer), unit, by }],
    }));
    this.refresh();
  }

  view(layer: LayerAt, of: ActivationQuery["of"]): void {
    const subject = this.#options.state()?.asked.subject;
    if (subject === undefined) return;
    this.#options.host
      .viewActivation({ ...placeOf(layer), subject, of })
      .catch((error: unknown) => this.#change((now) => ({ ...now, error: errorOf(error) })));
  }

  restore(one: Intervention): void {
    this.#change((now) => ({ ...now, interventions: now.interventions.filter((other) => other !== one) }));
    this.refresh();
  }

  set(part: Partial<Pick<EvaluationUi, "replacement" | "donor">>): void {
    this.#options.setUi(part);
  }

  reset(): void {
    this.#change((now) => ({ ...now, interventions: [], error: undefined }));
    this.refresh();
  }

  showAll(): void {
    this.#change((now) => ({ ...now, all: true }));
  }

  rankFor(rankFor: AblationScope["kind"]): void {
    this.#options.setUi({ rankFor });
    this.#forgetRanking();
  }

  rank(): void {
    const state = this.#options.state();
    const layer = state && chosenLayer(state);
    const scope = state && scopeOf(state);
    if (layer === undefined || scope === undefined) return;
    this.#change((now) => ({ ...now, ranking: { running: true, all: false } }));
    void this.#rank({ ...placeOf(layer), scope, mode: "zero" });
  }

  async #rank(query: AblationQuery): Promise<void> {
    const call = ++this.#ranked;
    const end = (part: Partial<Intervening["ranking"]>): void => {
      if (call === this.#ranked)
        this.#change((now) => ({ ...now, ranking: { running: false, all: false, ...part } }));
    };
    try {
      const result = await this.#options.host.rankUnits(query);
      end(result === undefined ? {} : { result });
    } catch (error) {
      end({ error: errorOf(error) });
    }
  }

  stop(): void {
    // The ranking ends when its answer arrives.
    void this.#options.host.stopRanking();
  }

  /** Receives a ranking's progress. */
  progressed(progress: AblationProgress): void {
    this.#change((now) => (now.ranking.running ? { ...now, ranking: { ...now.ranking, progress } } : now));
  }

  showAllRanked(): void {
    this.#change((now) => ({ ...now, ranking: { ...now.ranking, all: true } }));
  }

  /** Drops the ranking: it is valid for one layer and one scope only. */
  #forgetRanking(): void {
    this.#ranked++;
    if (this.#options.state()?.intervening.ranking.running) this.stop();
    this.#change((now) => ({ ...now, ranking: noInterventions().ranking }));
  }

  #change(apply: (now: Intervening) => Intervening): void {
    this.#options.change((now) => (now.intervening = apply(now.intervening)));
  }
}

/** The layer whose units are shown: the chosen one, where this model has it. */
export function chosenLayer({ ui, intervening: { answer } }: EvaluationState): UnitLayer | undefined {
  return answer?.layers.find((one) => layerKey(one) === ui.layer) ?? answer?.layers[0];
}

const isOf = (one: Intervention, at: LayerAt): boolean => layerKey(one) === layerKey(at);

function replacement({ replacement: mode, donor }: EvaluationUi): Replacement {
  return mode === "sample" ? { mode, sample: donor } : { mode };
}

const sameReplacement = (a: Replacement, b: Replacement): boolean =>
  a.mode === b.mode && (a.mode !== "sample" || b.mode !== "sample" || a.sample === b.sample);

/** The class whose samples units are ranked for: the sample's own, of an input that a person made the predicted one. */
export function rankedClass({ report, asked }: EvaluationState): number | undefined {
  if (report?.task !== "classification" || report.listed === 0) return undefined;
  return asked.answer?.sample.actual ?? asked.answer?.sample.predicted;
}

function scopeOf(state: EvaluationState): AblationScope | undefined {
  const { ui, asked } = state;
  const actual = rankedClass(state);
  if (ui.rankFor === "class" && actual !== undefined) return { kind: "class", actual };
  if (ui.rankFor === "set" && (state.report?.listed ?? 0) > 0) return { kind: "set" };
  return asked.subject === undefined ? undefined : { kind: "subject", subject: asked.subject };
}
