import { createBirpc, type BirpcReturn } from "birpc";
import * as vscode from "vscode";

export interface FakePanel<Host extends object> {
  panel: vscode.WebviewPanel;
  /** The host's methods, called as a page calls them: by messages of JSON. */
  host: BirpcReturn<Host>;
  /** As when another editor takes its place: its page is gone. */
  hide: () => void;
}

/**
 * A panel whose page is the test: what a host's side says goes to `view`, and the test calls the host. Everything else
 * of the host's side is real.
 */
export function fakePanel<Host extends object>(viewType: string, view: object): FakePanel<Host> {
  const toHost = new vscode.EventEmitter<unknown>();
  const viewState = new vscode.EventEmitter<vscode.WebviewPanelOnDidChangeViewStateEvent>();
  const disposed = new vscode.EventEmitter<void>();
  let visible = true;
  let toView: (message: unknown) => void = () => undefined;
  const json = (message: unknown): unknown => JSON.parse(JSON.stringify(message));
  const webview: vscode.Webview = {
    options: {},
    html: "",
    cspSource: "test:",
    onDidReceiveMessage: toHost.event,
    asWebviewUri: (uri) => uri,
    postMessage: (message) => {
      toView(json(message));
      return Promise.resolve(true);
    },
  };
  const panel: vscode.WebviewPanel = {
    viewType,
    title: "",
    webview,
    options: {},
    viewColumn: undefined,
    active: true,
    get visible() {
      return visible;
    },
    onDidChangeViewState: viewState.event,
    onDidDispose: disposed.event,
    reveal: () => undefined,
    dispose: () => disposed.fire(),
  };
  const host = createBirpc<Host>(
    { ...view },
    {
      post: (message: unknown) => toHost.fire(json(message)),
      on: (receive) => (toView = receive),
      timeout: -1,
    },
  );
  return {
    panel,
    host,
    hide() {
      visible = false;
      viewState.fire({ webviewPanel: panel });
    },
  };
}
