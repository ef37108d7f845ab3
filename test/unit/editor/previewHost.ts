/** The parts of VS Code that previews listen to, and an engine that notes what it is asked. */
import { vi } from "vitest";
import type { FileReport, InspectRequest } from "../../../extension/protocol/preview.ts";

type Listener = (event: never) => void;

const listeners = new Map<string, Listener[]>();

const on =
  (name: string) =>
  (listener: Listener): { dispose(): void } => {
    listeners.set(name, [...(listeners.get(name) ?? []), listener]);
    return { dispose: () => undefined };
  };

export const host = {
  trusted: true,
  settings: {} as Record<string, unknown>,
  documents: [] as unknown[],
  /** Folders that are watched. */
  watched: new Set<string>(),
  fire(name: string, event: unknown): void {
    for (const listener of listeners.get(name) ?? []) listener(event as never);
  },
};

class EventEmitter {
  readonly #told: ((value: unknown) => void)[] = [];
  event = (listener: (value: unknown) => void): { dispose(): void } => {
    this.#told.push(listener);
    return { dispose: () => undefined };
  };
  fire(value: unknown): void {
    for (const listener of this.#told) listener(value);
  }
  dispose(): void {}
}

/** `import "vscode"`. */
export const vscode = {
  Disposable: vi.fn(),
  TabInputText: vi.fn(),
  EventEmitter,
  RelativePattern: class {
    readonly base;
    constructor(base: { fsPath: string }) {
      this.base = base.fsPath;
    }
  },
  Uri: { file: (file: string) => ({ fsPath: file }) },
  workspace: {
    get isTrusted() {
      return host.trusted;
    },
    get textDocuments() {
      return host.documents;
    },
    getConfiguration: () => ({
      get: (name: string, fallback: unknown): unknown => host.settings[name] ?? fallback,
    }),
    createFileSystemWatcher: ({ base }: { base: string }) => {
      host.watched.add(base);
      return {
        onDidCreate: on(`create ${base}`),
        onDidChange: on(`change ${base}`),
        onDidDelete: on(`delete ${base}`),
        dispose: () => host.watched.delete(base),
      };
    },
    onDidChangeConfiguration: on("configuration"),
    onDidChangeTextDocument: on("change"),
    onDidSaveTextDocument: on("save"),
    onDidCloseTextDocument: on("close"),
    onDidGrantWorkspaceTrust: on("trust"),
  },
  window: {
    onDidChangeVisibleTextEditors: on("editors"),
    tabGroups: { all: [], onDidChangeTabs: on("tabs") },
  },
};

export class Document {
  readonly uri;
  isClosed = false;
  version = 1;
  readonly #text: string;

  constructor(file: string, text: string) {
    this.uri = { scheme: "file", path: file, fsPath: file, toString: () => `file://${file}` };
    this.#text = text;
  }
  getText(): string {
    return this.#text;
  }
}

/** The files that were built. */
export const asked: string[] = [];
/** The files that a file imports. */
export const imports = new Map<string, string[]>();

export const engine = {
  inspect: ({ file }: InspectRequest): Promise<FileReport> => {
    asked.push(file);
    const imported = imports.get(file) ?? [];
    return Promise.resolve({ file, models: [], experiments: [], errors: [], imported });
  },
  drop: () => undefined,
};

/** A new window, with a trusted workspace. */
export function resetHost(): void {
  asked.length = 0;
  imports.clear();
  listeners.clear();
  host.watched.clear();
  host.settings = {};
  host.trusted = true;
}
