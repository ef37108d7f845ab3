import { setTimeout } from "node:timers/promises";
import * as v from "valibot";
import {
  Answer,
  SamplePage,
  type SampleQuery,
  type SessionMethods,
  type SessionRequest,
  type Subject,
} from "../../protocol/evaluation.ts";
import {
  AblationProgress,
  InterventionAnswer,
  Ranking,
  type AblationQuery,
  type ActivationQuery,
  type InterventionEvents,
  type InterventionMethods,
  type InterventionQuery,
} from "../../protocol/interventions.ts";
import { OpenTensor } from "../../protocol/tensorValues.ts";
import type { SessionOptions } from "./engineSession.ts";
import type { EngineOptions } from "./process.ts";
import { TensorSession } from "./tensorSession.ts";

/** Milliseconds that a ranking may take. */
const RANKING_LIMIT = 600_000;
/** Milliseconds that a forward pass has to end after a stop; then the process is ended. */
const STOP_GRACE = 2000;

export interface ModelSessionOptions extends SessionOptions {
  /** Called while units are ranked, at most ten times a second. */
  onRanking?(progress: AblationProgress): void;
}

/** A process that holds a model with its weights and answers questions about it. */
export class ModelSession extends TensorSession<
  SessionMethods & InterventionMethods,
  InterventionEvents,
  void
> {
  #rankings: Promise<unknown> | undefined;

  constructor(request: SessionRequest, engine: () => EngineOptions, options: ModelSessionOptions = {}) {
    super(
      {
        name: "model",
        open: (remote) => remote.openSession(request),
        schemas: { ranking: v.strictTuple([AblationProgress]) },
        handlers: { ranking: (progress) => options.onRanking?.(progress) },
      },
      engine,
      options,
    );
  }

  /** Undefined when a newer question took its place, or it was cancelled. */
  samples(query: SampleQuery): Promise<SamplePage | undefined> {
    return this.question("samples", SamplePage, (remote) => remote.samples(query));
  }

  /** Undefined as with {@link samples}. */
  ask(subject: Subject, explain: boolean): Promise<Answer | undefined> {
    return this.question("ask", Answer, (remote) => remote.ask(subject, explain));
  }

  /** Undefined as with {@link samples}. */
  intervene(query: InterventionQuery): Promise<InterventionAnswer | undefined> {
    return this.question("intervene", InterventionAnswer, (remote) => remote.intervene(query));
  }

  /** Undefined as with {@link samples}. */
  openActivation(query: ActivationQuery): Promise<OpenTensor | undefined> {
    return this.question("activation", OpenTensor, (remote) => remote.openActivation(query));
  }

  /** Undefined as with {@link samples}, or when {@link stopRanking} stopped it. */
  async rankUnits(query: AblationQuery): Promise<Ranking | undefined> {
    const ranking = this.question("rank", v.nullable(Ranking), (remote) => remote.rankUnits(query), {
      limit: RANKING_LIMIT,
    });
    this.#rankings = Promise.allSettled([this.#rankings, ranking]);
    return (await ranking) ?? undefined;
  }

  /** Stops rankings; the model stays loaded, unless a forward pass doesn't end. */
  async stopRanking(): Promise<void> {
    this.drop("rank");
    await this.urgent((remote) => remote.stopRanking());
    const grace = new AbortController();
    const late = setTimeout(STOP_GRACE, true, { signal: grace.signal }).catch(() => false);
    const ended = Promise.resolve(this.#rankings).then(() => grace.abort());
    if (await late) await this.cancel();
    await ended;
  }
}
