import * as v from "valibot";
import * as vscode from "vscode";
import { EngineError } from "../../protocol/errors.ts";
import { TensorStatistics, TensorValues } from "../../protocol/tensorValues.ts";
import { DisposableOwner } from "../disposable.ts";
import { CONTEXT_KEYS, type DebuggedVariable } from "../ids.ts";
import type { Panels } from "../panels/panels.ts";

/** Key in a debug session's configuration that marks it as attached to a training. See attachDebugger.ts. */
export const OF_TRAINING = "layerwiseTraining";

const Evaluated = v.object({ result: v.string() });
const Opened = v.object({
  id: v.optional(v.number()),
  dtype: v.string(),
  shape: v.array(v.number()),
});

/** Shows tensors of a program that a debugger has stopped. */
export class DebuggedTensors extends DisposableOwner {
  readonly #panels: Panels;
  /** The debuggers of trainings, and the sessions of their threads. */
  readonly #sessions = new Map<string, vscode.DebugSession>();

  constructor(panels: Panels) {
    super();
    this.#panels = panels;
    this.own(
      vscode.debug.onDidStartDebugSession((session) => {
        const own = [session.configuration, session.parentSession?.configuration];
        if (!own.some((one) => one?.[OF_TRAINING] === true)) return;
        this.#sessions.set(session.id, session);
        this.#tell();
      }),
    );
    this.own(
      vscode.debug.onDidTerminateDebugSession(({ id }) => {
        if (this.#sessions.delete(id)) this.#tell();
      }),
    );
  }

  /** @throws EngineError when the variable is no tensor, or the program runs */
  async view({ sessionId, variable }: DebuggedVariable = {}): Promise<void> {
    const session = this.#sessions.get(sessionId ?? vscode.debug.activeDebugSession?.id ?? "");
    const expression = variable?.evaluateName ?? variable?.name;
    if (session === undefined || variable === undefined || expression === undefined)
      throw new EngineError({
        code: "debugger",
        message: vscode.l10n.t("View Tensor is for a variable of a paused training."),
      });
    const item = vscode.debug.activeStackItem;
    const frameId =
      item instanceof vscode.DebugStackFrame && item.session.id === session.id ? item.frameId : undefined;
    const opened = await this.#open(session, expression, frameId);
    const { id, dtype, shape } = opened;
    if (id === undefined)
      throw new EngineError({
        code: "debugger",
        message: vscode.l10n.t(
          "{0} has no values here: its step is over, or they can't be computed.",
          expression,
        ),
      });
    const ask = (call: string): Promise<unknown> =>
      evaluate(session, `globalThis[Symbol.for("layerwise.viewer")].${call}`);
    await this.#panels.showTensor({
      snapshot: () => Promise.resolve({ name: expression, from: session.name, dtype, shape }),
      statistics: async () => v.parse(TensorStatistics, await ask(`statistics(${id})`)),
      window: async (window) => v.parse(TensorValues, await ask(`window(${id}, ${JSON.stringify(window)})`)),
    });
  }

  async #open(
    session: vscode.DebugSession,
    expression: string,
    frameId: number | undefined,
  ): Promise<v.InferOutput<typeof Opened>> {
    const view = 'Symbol.for("layerwise.view")';
    const call = `((it) => it?.[${view}] === undefined ? "null" : it[${view}]())(${expression})`;
    const answer = await evaluate(session, call, frameId).catch((error: unknown) => {
      throw new EngineError({
        code: "debugger",
        message: vscode.l10n.t("{0} can't be evaluated: the training has to be paused.", expression),
        hint: String(error),
      });
    });
    const opened = v.safeParse(Opened, answer);
    if (opened.success) return opened.output;
    throw new EngineError({ code: "debugger", message: vscode.l10n.t("{0} is no tensor.", expression) });
  }

  #tell(): void {
    void vscode.commands.executeCommand("setContext", CONTEXT_KEYS.debugging, this.#sessions.size > 0);
  }
}

/** Returns the value of an expression that gives JSON. The clipboard's form is complete, and may be a JSON string. */
async function evaluate(
  session: vscode.DebugSession,
  expression: string,
  frameId?: number,
): Promise<unknown> {
  const answer: unknown = await session.customRequest("evaluate", {
    expression,
    context: "clipboard",
    ...(frameId === undefined ? {} : { frameId }),
  });
  const { result } = v.parse(Evaluated, answer);
  try {
    const value: unknown = JSON.parse(result);
    return typeof value === "string" ? JSON.parse(value) : value;
  } catch {
    throw new EngineError({ code: "debugger", message: result.slice(0, 200) });
  }
}
