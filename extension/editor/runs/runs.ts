import { basename, dirname } from "node:path";
import * as v from "valibot";
import * as vscode from "vscode";
import { RunRequest, startingRecord } from "../../protocol/engine.ts";
import type { UserError } from "../../protocol/errors.ts";
import { openRun, type Attachment } from "../../supervisor/runs/attach.ts";
import { errorLine } from "../../supervisor/errors.ts";
import type { EngineOptions } from "../../supervisor/engines/process.ts";
import { readSampled } from "../../supervisor/runs/metrics.ts";
import { keepForTurn } from "../../supervisor/runs/queuedSources.ts";
import { RunQueue } from "../../supervisor/runs/queue.ts";
import { resumedEvents, resumeRequest, type ResumeOptions } from "../../supervisor/runs/resume.ts";
import { spawnRun, type RunEvents, type RunOutcome } from "../../supervisor/runs/run.ts";
import { dropRunDirectory, makeRunDirectory } from "../../supervisor/runs/newRun.ts";
import { exists, readRecord, runsRoot } from "../../supervisor/runs/runDirectory.ts";
import { RunSession } from "../../supervisor/runs/session.ts";
import { SpareEngine } from "../../supervisor/engines/spare.ts";
import type { RunOn } from "../../protocol/target.ts";
import { DisposableOwner } from "../disposable.ts";
import { CONTEXT_KEYS } from "../ids.ts";
import type { Messages, Offer } from "../messages.ts";
import type { RayTokens } from "../remote/tokens.ts";
import { onSettingChange, setting } from "../settings.ts";
import { showInformation, type Log } from "../show.ts";
import { folderOf, requireTrust } from "../targets.ts";
import { failureText } from "./failureText.ts";

export interface StartOptions {
  kind: RunRequest["kind"];
  /** Absolute path of the saved `.nn.ts` file. */
  file: string;
  exportName: string;
  /** Absolute path of the initial weights. */
  checkpoint?: string;
  /** The machine to run on, if it is not this one. */
  on?: RunOn | undefined;
  /** Settings of an earlier run, to repeat it. */
  again?: Pick<RunRequest, "version" | "seed" | "hyperparameters" | "epochs">;
  /** Makes the run wait for a debugger; called with its address. */
  inspecting?: (url: string) => void;
}

/** Requests of the runs that wait for their turn, in the window's memory. */
const WAITING = "runs.waiting";

/** Milliseconds for which a run that gives no sign of life is followed. */
const PATIENCE = 600_000;

/** Milliseconds within which a second click belongs to the first. */
const DOUBLE_CLICK = 500;

/** The runs of this window: its own and those of others that it follows. */
export class Runs extends DisposableOwner {
  /** The warm process for the next run. */
  readonly spare: SpareEngine;
  readonly tokens: RayTokens;
  readonly #engine: () => EngineOptions;
  readonly #messages: Messages;
  readonly #memory: vscode.Memento;
  #closing = false;
  readonly #queue: RunQueue;
  /** Live runs by directory, oldest first. */
  readonly #sessions = new Map<string, RunSession>();
  readonly #attachments = new Set<Attachment>();
  /** Runs that are being read: the panels of a new window and recovery open the same ones. */
  readonly #opening = new Map<string, Promise<RunSession>>();
  #lastStart: { key: string; at: number; session: Promise<RunSession> } | undefined;
  readonly #changed = this.own(new vscode.EventEmitter<RunSession>());
  /** Fires at each change of a live run, up to ten times a second each, and at its end. */
  readonly onDidChange = this.#changed.event;
  /** Whether a panel that is on the screen shows a run. */
  isShown: (session: RunSession) => boolean = () => false;
  /** What can be done about a run that has failed. */
  remedy: ((request: RunRequest) => Promise<(Offer & { reason: string }) | undefined>) | undefined;

  /** @param memory keeps the queue: runs that wait when the window closes wait again in the next one */
  constructor(engine: () => EngineOptions, messages: Messages, tokens: RayTokens, memory: vscode.Memento) {
    super();
    this.#memory = memory;
    this.tokens = tokens;
    this.#engine = engine;
    this.#messages = messages;
    this.spare = new SpareEngine(engine);
    this.#queue = new RunQueue(
      (request, events) => {
        const spare = request.on === undefined ? this.spare.take(request) : undefined;
        return spawnRun(request, events, this.#engine(), spare);
      },
      setting("runs.maxActive"),
      () => this.#queueChanged(),
    );
    // A crashed host leaves its context keys.
    this.#updateContext();
    this.own(
      onSettingChange("runs.maxActive", () => {
        this.#queue.limit = setting("runs.maxActive");
      }),
    );
  }

  /** Live runs, newest first. */
  get live(): readonly RunSession[] {
    return [...this.#sessions.values()].reverse();
  }

  /** The run that stands for all: active before starting, starting before waiting. */
  get foremost(): RunSession | undefined {
    const { live } = this;
    return (
      live.find(({ record }) => record.state !== "starting") ??
      live.find(({ waitsFor }) => waitsFor.length === 0) ??
      live[0]
    );
  }

  /** Runs of a folder that have not begun. */
  notBegun(folder: string): RunSession[] {
    const root = runsRoot(folder);
    return this.live.filter(
      ({ directory, record }) => record.state === "starting" && dirname(directory) === root,
    );
  }

  /** Starts a run, or queues it behind active ones. */
  start(options: StartOptions): Promise<RunSession> {
    const { inspecting: _, ...asked } = options;
    const key = JSON.stringify(asked);
    const last = this.#lastStart;
    // The second click of two that follow each other means the same run.
    if (last?.key === key && performance.now() - last.at < DOUBLE_CLICK) return last.session;
    const session = this.#begin(options);
    this.#lastStart = { key, at: performance.now(), session };
    return session;
  }

  async #begin(options: StartOptions): Promise<RunSession> {
    requireTrust();
    const { kind, file, exportName, checkpoint, on, again, inspecting } = options;
    const scope = vscode.Uri.file(file);
    const word = exportName === "default" ? basename(file).replace(/\.nn\.ts$/, "") : exportName;
    const asked: RunRequest = {
      kind,
      file,
      exportName,
      directory: await makeRunDirectory(folderOf(file), kind === "train" ? word : `${word}-evaluation`),
      device: setting("device", scope),
      outlive: kind === "train" && inspecting === undefined && setting("runs.outlive"),
      ...(on === undefined ? {} : { on: await this.#withTokens(on) }),
      ...(inspecting === undefined ? {} : { inspect: true }),
      ...(kind === "train" && setting("runs.tensorboard", scope) ? { tensorboard: true } : {}),
      ...(checkpoint === undefined ? {} : { checkpoint }),
      ...again,
    };
    const request = this.#queue.full ? await keepForTurn(asked) : asked;
    const session = new RunSession(request.directory, startingRecord(request), true);
    this.#enqueue(session, request, {
      ...session.events,
      ...(inspecting === undefined ? {} : { inspecting }),
    });
    return session;
  }

  /** Resumes an interrupted training in its own directory. */
  async resume(
    directory: string,
    {
      rollback,
      forceUnlock,
      on,
      kept,
      file,
    }: Pick<ResumeOptions, "rollback" | "forceUnlock" | "on" | "kept" | "file"> = {},
  ): Promise<RunSession> {
    requireTrust();
    const known = this.#sessions.get(directory);
    if (known !== undefined) return known;
    const { endedAt: _, error: __, ...record } = await readRecord(directory);
    const request = await resumeRequest(directory, {
      outlive: setting("runs.outlive"),
      ...(rollback === undefined ? {} : { rollback }),
      ...(forceUnlock === undefined ? {} : { forceUnlock }),
      ...(on === undefined ? {} : { on }),
      ...(kept === undefined ? {} : { kept }),
      ...(file === undefined ? {} : { file }),
      ...(setting("runs.tensorboard", vscode.Uri.file(record.file)) ? { tensorboard: true } : {}),
    });
    // Only the engine knows the machine of a run.
    if (request.on !== undefined) request.on = await this.#withTokens(request.on);
    const session = new RunSession(directory, { ...record, state: "starting" }, true);
    session.restart(await readSampled(directory));
    // A second click while this one was reading.
    const other = this.#sessions.get(directory);
    if (other !== undefined) return other;
    this.#enqueue(session, request, resumedEvents(session));
    return session;
  }

  async #withTokens(on: RunOn): Promise<RunOn> {
    return { ...on, tokens: await this.tokens.all() };
  }

  #enqueue(session: RunSession, request: RunRequest, events: RunEvents): void {
    const { kind, file, exportName } = request;
    const log = this.#logOf(session);
    const run = this.#queue.enqueue(request, {
      ...events,
      hello: ({ pid, node }) => log.info(`process ${pid}, Node ${node}`),
      log: (level, text) => (level === "warning" ? log.warn(text) : log[level](text)),
      output: (_, text) => log.info(text.trimEnd()),
    });
    session.control = run.control;
    this.#add(session);
    log.info(`${request.resume === true ? "resume" : kind} ${file}#${exportName}`);
    this.#tellTurns();
    if (run.state === "waiting") this.#tellWaiting(session);
    void run.ended.then((outcome) => this.#end(session, outcome, request));
  }

  /** Opens a run by its directory: a live one of this window, else from disk, followed while live elsewhere. */
  async open(directory: string): Promise<RunSession> {
    const known = this.#sessions.get(directory) ?? this.#opening.get(directory);
    if (known !== undefined) return known;
    const opening = this.#read(directory).finally(() => this.#opening.delete(directory));
    this.#opening.set(directory, opening);
    return opening;
  }

  async #read(directory: string): Promise<RunSession> {
    const attachment = await openRun(directory, { patience: PATIENCE });
    const { session } = attachment;
    if (session.live) this.#add(session);
    void this.#follow(attachment);
    return session;
  }

  /** Ends the runs that must not outlive the window, with their weights saved. */
  async close(): Promise<void> {
    this.#closing = true;
    for (const attachment of this.#attachments) attachment.detach();
    await Promise.all([this.#queue.dispose(), this.spare.dispose()]);
  }

  async #follow(attachment: Attachment): Promise<void> {
    const { session } = attachment;
    this.#attachments.add(attachment);
    // It may give a sign of life only now: a machine is busy while a window is loaded again.
    const leave = session.subscribe(() => {
      if (session.live && !this.#sessions.has(session.directory)) this.#add(session);
    });
    await attachment.done;
    leave();
    this.#attachments.delete(attachment);
    this.#remove(session);
  }

  #add(session: RunSession): void {
    this.#sessions.set(session.directory, session);
    session.subscribe(() => this.#changed.fire(session));
    this.#changed.fire(session);
    this.#updateContext();
  }

  #remove(session: RunSession): void {
    // The run may have been resumed since.
    if (this.#sessions.get(session.directory) !== session) return;
    this.#sessions.delete(session.directory);
    this.#updateContext();
    this.#changed.fire(session);
  }

  #queueChanged(): void {
    this.#tellTurns();
    // The end of the window takes them out of the queue.
    if (this.#closing) return;
    const waiting = this.#queue.runs.filter(({ state, request }) => state === "waiting" && !request.inspect);
    void this.#memory.update(
      WAITING,
      waiting.map(({ request }) => request),
    );
  }

  /** Queues the runs again that waited when the last window closed. Returns their ids. */
  async queueAgain(): Promise<string[]> {
    const waited = this.#memory.get<unknown>(WAITING, []);
    if (!Array.isArray(waited) || waited.length === 0 || !vscode.workspace.isTrusted) return [];
    const ids: string[] = [];
    for (const one of waited) {
      if (!v.is(RunRequest, one)) continue;
      const { directory, resume, rollback, version } = one;
      const kept = version === undefined ? {} : { kept: true };
      const begun = await readRecord(directory).then(
        () => true,
        () => false,
      );
      if (begun !== (resume === true) || !(await exists(directory))) continue;
      if (resume === true) await this.resume(directory, { ...kept, ...(rollback && { rollback }) });
      else {
        const session = new RunSession(directory, startingRecord(one), true);
        this.#enqueue(session, one, session.events);
      }
      ids.push(basename(directory));
    }
    return ids;
  }

  /** Updates the waiting runs after each change of the queue. */
  #tellTurns(): void {
    for (const run of this.#queue.runs) {
      const ids = this.#queue.before(run).map(({ request }) => basename(request.directory));
      this.#sessions.get(run.request.directory)?.setWaitsFor(ids);
    }
  }

  #tellWaiting(session: RunSession): void {
    const text = vscode.l10n.t(
      "Run {0} waits for the end of {1}: at most {2} at a time.",
      session.id,
      session.waitsFor.join(", "),
      setting("runs.maxActive"),
    );
    void showInformation(text);
  }

  #updateContext(): void {
    void vscode.commands.executeCommand("setContext", CONTEXT_KEYS.running, this.#sessions.size > 0);
  }

  #end(session: RunSession, outcome: RunOutcome, request: RunRequest): void {
    const { record, error } = outcome;
    // One that waited when the window closed waits in the next.
    if (record === undefined && request.resume !== true && !this.#closing)
      void dropRunDirectory(request.directory);
    session.refused =
      record === undefined && request.resume !== true && error !== undefined && error.code !== "cancelled";
    session.setRecord(record ?? neverStarted(session, outcome), false);
    this.#remove(session);
    const log = this.#logOf(session);
    if (error === undefined) log.info(`${session.record.state} after ${session.record.epoch} epochs`);
    else log.error(errorLine(error));
    // The user's own action needs no message; a failure does.
    if (error !== undefined && error.code !== "cancelled" && !this.disposed)
      void this.#tellFailure(session, error, request);
    // Curves that were cut for steps which were not made.
    if (error !== undefined && request.resume === true)
      readSampled(request.directory).then(
        (rows) => session.restart(rows),
        () => undefined,
      );
  }

  async #tellFailure(session: RunSession, failure: UserError, request: RunRequest): Promise<void> {
    const own = failure.code === "killed" || failure.code === "non-finite";
    let offer: Awaited<ReturnType<NonNullable<Runs["remedy"]>>>;
    try {
      offer = own ? undefined : await this.remedy?.(request);
    } catch {
      // The failure itself matters more.
    }
    // Its panel is closed.
    const shown = !session.refused && this.isShown(session);
    const message = failureText(failure, session.record, { shown, reason: offer?.reason });
    this.#messages.error({ ...failure, message }, undefined, offer);
  }

  #logOf(session: RunSession): Pick<Log, "info" | "warn" | "error"> {
    const { log } = this.#messages;
    const prefix = (text: string): string => `[${session.id}] ${text}`;
    return {
      info: (text) => log.info(prefix(text)),
      warn: (text) => log.warn(prefix(text)),
      error: (text) => log.error(prefix(text)),
    };
  }
}

/** The record of a run that never began, or failed to resume. */
function neverStarted(session: RunSession, outcome: RunOutcome): RunSession["record"] {
  const cancelled = outcome.error?.code === "cancelled";
  return {
    ...session.record,
    state: cancelled ? "stopped" : "failed",
    endedAt: new Date().toISOString(),
    ...(outcome.error === undefined || cancelled ? {} : { error: outcome.error }),
  };
}
