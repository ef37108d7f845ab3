// The parts of VS Code that show text, with a record of all shown texts.
export interface Shown {
  /** "message", "pick", "log", "task" …, and its texts. */
  where: string;
  texts: string[];
}

export const shown: Shown[] = [];
/** The user's answers, by `where`; by default none. */
export const answers = new Map<string, (given: readonly unknown[]) => unknown>();

const show =
  (where: string, textsOf: (given: readonly unknown[]) => unknown[]) =>
  (...given: unknown[]): Promise<unknown> => {
    shown.push({ where, texts: textsOf(given).filter((text) => typeof text === "string") });
    return Promise.resolve(answers.get(where)?.(given));
  };

const fields = (value: unknown): unknown[] =>
  typeof value === "object" && value !== null
    ? ["label", "description", "detail", "title", "placeHolder", "prompt"].map((name) =>
        Reflect.get(value, name),
      )
    : [value];

const disposable = (): object => ({ dispose: () => undefined });

class Plain {
  readonly given: unknown[];
  constructor(...given: unknown[]) {
    this.given = given;
  }
}

export const vscode = {
  Disposable: class {
    static from = disposable;
    dispose(): void {}
  },
  EventEmitter: class {
    event = disposable;
    fire(): void {}
    dispose(): void {}
  },
  MarkdownString: class {
    isTrusted: unknown;
    value: string;
    supportThemeIcons: boolean;
    constructor(value = "", icons = false) {
      this.value = value;
      this.supportThemeIcons = icons;
    }
  },
  TreeItem: class {
    label: unknown;
    constructor(label: unknown) {
      this.label = label;
    }
  },
  ThemeIcon: Object.assign(Plain, { File: "file" }),
  ThemeColor: Plain,
  Position: Plain,
  Range: Plain,
  Hover: Plain,
  RelativePattern: Plain,
  ProcessExecution: Plain,
  Task: class {
    name: unknown;
    execution: unknown;
    constructor(...given: unknown[]) {
      [, , this.name, , this.execution] = given;
    }
  },
  TaskScope: { Workspace: 2 },
  TreeItemCollapsibleState: { None: 0, Collapsed: 1, Expanded: 2 },
  StatusBarAlignment: { Left: 1 },
  ProgressLocation: { Window: 10, Notification: 15 },
  UIKind: { Desktop: 1 },
  Uri: {
    file: (fsPath: string) => ({ fsPath, path: fsPath, toString: () => fsPath }),
    joinPath: () => ({}),
    parse: (text: string) => text,
  },
  env: { language: "en", uiKind: 1 },
  l10n: {
    t: (text: string, ...values: unknown[]) =>
      text.replaceAll(/\{(\d+)\}/g, (_, index: string) => String(values[Number(index)])),
  },
  debug: {
    startDebugging: (_: unknown, given: { name: string }) =>
      show("debug", () => [given.name])().then(() => true),
  },
  tasks: {},
  languages: {
    createDiagnosticCollection: () => ({
      set: (_: unknown, all: { message: string }[]) =>
        void shown.push({ where: "problem", texts: all.map(({ message }) => message) }),
      dispose: () => undefined,
    }),
  },
  DiagnosticSeverity: { Information: 2, Warning: 1 },
  Location: Plain,
  DiagnosticRelatedInformation: class {
    message: unknown;
    constructor(_: unknown, message: unknown) {
      this.message = message;
    }
  },
  Diagnostic: class {
    message: unknown;
    constructor(_: unknown, message: unknown) {
      this.message = message;
    }
  },
  commands: { executeCommand: () => Promise.resolve(), registerCommand: disposable },
  workspace: {
    isTrusted: true,
    workspaceFolders: [] as { uri: { fsPath: string }; name: string }[],
    textDocuments: [],
    getWorkspaceFolder: () => undefined,
    asRelativePath: (path: unknown) =>
      typeof path === "string" ? path : (path as { fsPath: string }).fsPath,
    getConfiguration: () => ({ get: () => undefined }),
    onDidChangeConfiguration: disposable,
    onDidGrantWorkspaceTrust: disposable,
    onDidChangeWorkspaceFolders: disposable,
    createFileSystemWatcher: () => ({
      onDidCreate: disposable,
      onDidChange: disposable,
      onDidDelete: disposable,
      dispose: () => undefined,
    }),
  },
  window: {
    tabGroups: { activeTabGroup: {} },
    showInformationMessage: show("message", (given) => [...given]),
    showWarningMessage: show("message", (given) => [...given]),
    showErrorMessage: show("message", (given) => [...given]),
    showQuickPick: show("pick", ([items, options]) => [
      ...(items as unknown[]).flatMap(fields),
      ...fields(options),
    ]),
    showInputBox: show("input", ([options]) => fields(options)),
    withProgress: (
      options: { title?: string },
      task: (progress: { report(step: { message?: string }): void }, token: object) => Promise<unknown>,
    ) => {
      void show("progress", () => [options.title])();
      const report = ({ message }: { message?: string }): void => void show("progress", () => [message])();
      return task({ report }, { onCancellationRequested: disposable });
    },
    createOutputChannel: () =>
      Object.fromEntries(
        ["trace", "debug", "info", "warn", "error"].map((level) => [
          level,
          (text: string) => void show("log", () => [text])(),
        ]),
      ),
    createTreeView: () => ({ visible: true, onDidChangeVisibility: disposable, dispose: () => undefined }),
    createStatusBarItem: () => ({ show: () => undefined, dispose: () => undefined }),
    onDidChangeVisibleTextEditors: disposable,
  },
};
