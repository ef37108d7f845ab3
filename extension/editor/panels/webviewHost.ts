import { randomBytes } from "node:crypto";
import { createBirpc, type BirpcReturn } from "birpc";
import * as v from "valibot";
import * as vscode from "vscode";
import type { UserError } from "../../protocol/errors.ts";
import { labelText } from "../../protocol/text/label.ts";
import type { ViewKind } from "../../protocol/views.ts";
import { isEnvelope } from "../../supervisor/engines/channel.ts";
import { errorLine, toUserError } from "../../supervisor/errors.ts";
import { PANELS } from "../ids.ts";
import type { Log } from "../show.ts";
import { pageHtml } from "./page.ts";

/** Schema of the arguments of each method that a view may call. */
export type MethodSchemas<Methods> = {
  [K in keyof Methods]: Methods[K] extends (...args: infer A) => unknown
    ? v.GenericSchema<unknown, A>
    : never;
};

export const noArguments = v.strictTuple([]);

/** Arguments of `openSource`: a file, and perhaps a line and a column of it. */
export const sourceArguments = v.pipe(
  v.tuple([v.string(), v.optional(v.number()), v.optional(v.number())]),
  v.transform(([file, line, column]): [file: string, line?: number, column?: number] =>
    line === undefined ? [file] : column === undefined ? [file, line] : [file, line, column],
  ),
);

export interface HostOptions<Methods> {
  kind: ViewKind;
  extensionUri: vscode.Uri;
  log: Log;
  methods: Methods;
  schemas: MethodSchemas<Methods>;
  /** Called with each error that the page is sent. */
  onError?: (error: UserError) => void;
}

/** Options of a view, which may load its own bundle only. */
export function webviewOptions(extensionUri: vscode.Uri): vscode.WebviewOptions {
  return { enableScripts: true, localResourceRoots: [webviewFolder(extensionUri)] };
}

/** Creates a panel beside the editor, or in the place of the panel that asks for it. It doesn't take the focus. */
export function createPanel(
  kind: keyof typeof PANELS,
  title: string,
  extensionUri: vscode.Uri,
): vscode.WebviewPanel {
  const { activeTab } = vscode.window.tabGroups.activeTabGroup;
  const own = activeTab?.input instanceof vscode.TabInputWebview;
  const column = {
    viewColumn: own ? vscode.ViewColumn.Active : vscode.ViewColumn.Beside,
    preserveFocus: true,
  };
  return vscode.window.createWebviewPanel(
    PANELS[kind],
    labelText(title),
    column,
    webviewOptions(extensionUri),
  );
}

/**
 * Fills a panel with its page and connects it. Returns the view's methods, to be called as events: a page needs no
 * reply. Messages of the view are validated; an error of a method is logged and sent to the view.
 */
export function connectPanel<View extends object, Methods extends object>(
  panel: vscode.WebviewPanel,
  options: HostOptions<Methods>,
): BirpcReturn<View> {
  const { webview } = panel;
  webview.options = webviewOptions(options.extensionUri);
  panel.iconPath = {
    light: vscode.Uri.joinPath(options.extensionUri, "media", "icon-light.svg"),
    dark: vscode.Uri.joinPath(options.extensionUri, "media", "icon-dark.svg"),
  };
  const view = createBirpc<View>(guarded(options), {
    post: async (message: unknown) => {
      // A panel may close while a message is under way.
      await Promise.resolve(webview.postMessage(message)).catch(() => false);
    },
    on: (receive) => {
      webview.onDidReceiveMessage((message: unknown) => {
        if (isEnvelope(message)) receive(message);
        else options.log.warn(`The ${options.kind} view sent something that is no message.`);
      });
    },
    serialize: withPlainError,
    timeout: -1,
  });
  const folder = webviewFolder(options.extensionUri);
  const resource = (...path: string[]): string =>
    webview.asWebviewUri(vscode.Uri.joinPath(folder, ...path)).toString();
  const load = (): void => {
    webview.html = pageHtml({
      kind: options.kind,
      restricted: !vscode.workspace.isTrusted,
      title: panel.title || "Layerwise",
      language: vscode.env.language,
      nonce: randomBytes(16).toString("hex"),
      source: webview.cspSource,
      script: resource(`${options.kind}.js`),
      styles: [resource("codicons", "codicon.css"), resource(`${options.kind}.css`)],
      font: resource("codicons", "codicon.ttf"),
    });
  };
  load();
  const granted = vscode.workspace.onDidGrantWorkspaceTrust(load);
  panel.onDidDispose(() => granted.dispose());
  return view;
}

function webviewFolder(extensionUri: vscode.Uri): vscode.Uri {
  return vscode.Uri.joinPath(extensionUri, "dist", "webview");
}

function guarded<Methods extends object>(options: HostOptions<Methods>): Record<string, unknown> {
  const functions: Record<string, unknown> = Object.create(null);
  for (const name of Object.keys(options.schemas)) {
    const key = name as keyof Methods;
    const schema = options.schemas[key] as v.GenericSchema<unknown, unknown[]>;
    const method = options.methods[key] as (...args: unknown[]) => Promise<unknown>;
    functions[name] = async (...args: unknown[]): Promise<unknown> => {
      try {
        // JSON has no undefined: arguments left out arrive as null.
        const given = args.map((arg) => arg ?? undefined);
        return await method(...v.parse(schema, given));
      } catch (error) {
        const told = toUserError(error);
        options.log.error(`${name}: ${errorLine(told)}`);
        options.onError?.(told);
        throw error;
      }
    };
  }
  return functions;
}

/** An Error crosses postMessage as an empty object. */
function withPlainError(message: { e?: unknown }): unknown {
  return message.e === undefined ? message : { ...message, e: toUserError(message.e) };
}
