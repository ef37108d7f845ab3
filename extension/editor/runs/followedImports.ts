import * as vscode from "vscode";
import { rootOfRun } from "../../files/runFiles.ts";
import type { EngineOptions } from "../../supervisor/engines/process.ts";
import { followForeignRuns, type ChangedRun } from "../../supervisor/engines/importRuns.ts";
import { MetricsReader } from "../../supervisor/runs/metrics.ts";
import { SampledRows } from "../../supervisor/runs/sampledRows.ts";
import type { RunSession } from "../../supervisor/runs/session.ts";
import type { Log } from "../show.ts";

/** Adds to the imported runs that panels show what their tools log. One process reads a path, for all its runs. */
export class FollowedImports implements vscode.Disposable {
  readonly #engine: () => EngineOptions;
  readonly #log: Log;
  readonly #paths = new Map<string, FollowedPath>();

  constructor(engine: () => EngineOptions, log: Log) {
    this.#engine = engine;
    this.#log = log;
  }

  /** Follows a run until the result is disposed. Of another than an imported one it does nothing. */
  follow(session: RunSession): vscode.Disposable {
    const { imported } = session.record;
    if (imported === undefined || !vscode.workspace.isTrusted) return { dispose: () => undefined };
    const folder = rootOfRun(session.directory);
    const key = JSON.stringify([folder, imported.path]);
    const known = this.#paths.get(key);
    const path = known ?? new FollowedPath(folder, imported.path, this.#engine());
    const forget = (): void => {
      if (this.#paths.get(key) === path) this.#paths.delete(key);
    };
    if (known === undefined) {
      this.#paths.set(key, path);
      void path.ended
        .catch((error: unknown) => this.#log.info(`${imported.path} is not followed: ${String(error)}`))
        .finally(forget);
    }
    path.add(session);
    return {
      dispose: () => {
        path.remove(session);
        if (path.used) return;
        path.stop();
        forget();
      },
    };
  }

  dispose(): void {
    for (const path of this.#paths.values()) path.stop();
  }
}

/** A path of another tool's files that is read while a panel shows a run of it. */
class FollowedPath {
  readonly ended: Promise<void>;
  readonly #abort = new AbortController();
  readonly #runs = new Map<RunSession, FollowedRun>();
  /** The files have changed lately, so there may be more. */
  #live = false;

  constructor(folder: string, from: string, engine: EngineOptions) {
    this.ended = followForeignRuns(folder, from, {
      engine,
      signal: this.#abort.signal,
      onRun: (changed) => {
        for (const run of this.#runs.values()) run.changed(changed);
      },
      onFollowing: () => this.#setLive(true),
    })
      .catch((error: unknown) => {
        if (!this.#abort.signal.aborted) throw error;
      })
      .finally(() => this.#setLive(false));
  }

  add(session: RunSession): void {
    this.#runs.set(session, new FollowedRun(session, this.#live));
  }

  remove(session: RunSession): void {
    this.#runs.delete(session);
  }

  /** Whether it still has a run that is shown. */
  get used(): boolean {
    return this.#runs.size > 0;
  }

  stop(): void {
    this.#abort.abort();
  }

  #setLive(live: boolean): void {
    this.#live = live;
    for (const run of this.#runs.values()) run.live = live;
  }
}

class FollowedRun {
  readonly #session: RunSession;
  #live: boolean;
  /** Stands at the end of the rows that the session has; undefined before it has all. */
  #reader: MetricsReader | undefined;
  /** One change after another. */
  #turn: Promise<void> = Promise.resolve();

  constructor(session: RunSession, live: boolean) {
    this.#session = session;
    this.#live = live;
    if (live) session.setRecord(session.record, true);
  }

  set live(live: boolean) {
    this.#live = live;
    this.#turn = this.#after(this.#turn);
  }

  changed(changed: ChangedRun): void {
    if (changed.directory === this.#session.directory) this.#turn = this.#after(this.#turn, changed);
  }

  async #after(before: Promise<void>, changed?: ChangedRun): Promise<void> {
    await before;
    if (changed !== undefined) await this.#read(changed.appended);
    this.#session.setRecord(changed?.record ?? this.#session.record, this.#live);
  }

  async #read(appended: boolean): Promise<void> {
    const session = this.#session;
    if (appended && this.#reader !== undefined) {
      const reader = this.#reader;
      for (let rows = await reader.read(); rows.length > 0; rows = await reader.read()) session.addRows(rows);
      return;
    }
    const reader = (this.#reader = new MetricsReader(session.directory));
    const all = new SampledRows();
    for (let rows = await reader.read(); rows.length > 0; rows = await reader.read()) all.push(rows);
    session.restart(all);
  }
}
