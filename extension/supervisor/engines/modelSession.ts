import {
  Answer,
  SamplePage,
  type SampleQuery,
  type SessionMethods,
  type SessionRequest,
  type Subject,
} from "../../protocol/evaluation.ts";
import { EngineSession, type SessionOptions } from "./engineSession.ts";
import type { EngineOptions } from "./process.ts";

export type ModelSessionOptions = SessionOptions;

/** A process that holds a model with its weights and answers questions about it. */
export class ModelSession extends EngineSession<SessionMethods, object, void> {
  constructor(request: SessionRequest, engine: () => EngineOptions, options: ModelSessionOptions = {}) {
    const open = { name: "model", schemas: {}, handlers: {} };
    super({ ...open, open: (remote) => remote.openSession(request) }, engine, options);
  }

  /** Undefined when a newer question took its place, or it was cancelled. */
  samples(query: SampleQuery): Promise<SamplePage | undefined> {
    return this.question("samples", SamplePage, (remote) => remote.samples(query));
  }

  /** Undefined as with {@link samples}. */
  ask(subject: Subject, explain: boolean): Promise<Answer | undefined> {
    return this.question("ask", Answer, (remote) => remote.ask(subject, explain));
  }
}
