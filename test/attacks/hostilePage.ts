// Actions that a webview's page can take on its panel, and actions that the panel has VS Code take.
import { expect, vi } from "vitest";

/** Actions of the extension host for a page. */
export const done = {
  /** The folder that is open. */
  workspace: "",
  opened: [] as string[],
  commands: [] as unknown[][],
  trusted: true,
  /** Serializers that restore panels after a reload, by the panels' kinds. */
  serializers: new Map<string, { deserializeWebviewPanel(panel: unknown, state: unknown): Promise<void> }>(),
};

/** As much of the module `vscode` as panels use. */
export function vscode() {
  class Uri {
    static file = (fsPath: string): Uri => new Uri(fsPath);
    static joinPath = (base: unknown, ...parts: string[]): string => [String(base), ...parts].join("/");
    readonly scheme = "file";
    readonly fsPath: string;
    constructor(fsPath: string) {
      this.fsPath = fsPath;
    }
    get path(): string {
      return this.fsPath;
    }
    toString(): string {
      return this.fsPath;
    }
  }
  class Position {
    readonly line: number;
    constructor(line: number) {
      this.line = line;
    }
  }
  const subscription = () => ({ dispose: () => undefined });
  return {
    Uri,
    Position,
    Range: vi.fn(),
    TabInputText: vi.fn(),
    RelativePattern: vi.fn(),
    ViewColumn: { One: 1 },
    Disposable: vi.fn(),
    env: { language: "en" },
    l10n: { t: (text: string) => text },
    window: {
      showTextDocument: (uri: Uri) => Promise.resolve(done.opened.push(uri.fsPath)),
      showSaveDialog: (options: unknown) => Promise.resolve(void done.commands.push(["save", options])),
      onDidChangeTextEditorSelection: subscription,
      registerWebviewPanelSerializer: (kind: string, serializer: never) => {
        done.serializers.set(kind, serializer);
        return subscription();
      },
      tabGroups: { all: [] },
    },
    workspace: {
      onDidGrantWorkspaceTrust: subscription,
      get isTrusted() {
        return done.trusted;
      },
      getWorkspaceFolder: (uri: Uri) =>
        uri.fsPath.startsWith(done.workspace) ? { uri: Uri.file(done.workspace) } : undefined,
      openTextDocument: (file: string) => Promise.resolve({ uri: Uri.file(file), getText: () => "" }),
      onDidChangeTextDocument: subscription,
      onDidSaveTextDocument: subscription,
      onDidChangeConfiguration: subscription,
      getConfiguration: () => ({ get: (_name: string, byDefault: unknown) => byDefault ?? true }),
      createFileSystemWatcher: () => ({
        onDidChange: subscription,
        onDidCreate: subscription,
        dispose: () => undefined,
      }),
      fs: { stat: () => Promise.resolve({}) },
    },
    commands: { executeCommand: (...args: unknown[]) => Promise.resolve(done.commands.push(args)) },
    extensions: { getExtension: () => undefined },
  };
}

/** A panel of VS Code's whose page is the attacker's. */
export class HostilePage {
  readonly visible = true;
  readonly viewType = "layerwise.training";
  title = "";
  readonly sent: { i?: string; r?: unknown; e?: { message: string } }[] = [];
  #receive = (_message: unknown): void => undefined;
  #calls = 0;
  readonly webview = {
    options: {} as { localResourceRoots?: unknown[]; enableCommandUris?: unknown },
    html: "",
    cspSource: "",
    asWebviewUri: (uri: unknown) => uri,
    postMessage: (message: never) => Promise.resolve(this.sent.push(message) > 0),
    onDidReceiveMessage: (receive: (message: unknown) => void) => (this.#receive = receive),
  };
  onDidChangeViewState = () => ({ dispose: () => undefined });
  onDidDispose = () => ({ dispose: () => undefined });
  dispose = vi.fn<() => void>();

  /** Sends a message of any form. */
  send(message: unknown): void {
    this.#receive(message);
  }

  /** Calls a method of the host; returns the answer, an error as its message. */
  async call(method: string, ...args: unknown[]): Promise<unknown> {
    const id = String(++this.#calls);
    this.send({ t: "q", m: method, a: args, i: id });
    return vi.waitFor(() => {
      const answer = this.sent.find(({ i }) => i === id);
      expect(answer).toBeDefined();
      return answer?.e === undefined ? answer?.r : `refused: ${answer.e.message}`;
    }, FAST);
  }
}

/** Of the waits for an answer. */
export const FAST = { timeout: 5000, interval: 1 };
