import { readFile } from "node:fs/promises";
import * as v from "valibot";
import * as vscode from "vscode";
import { markdownBlock } from "../../protocol/text/markdown.ts";
import { MODEL_FILES } from "../ids.ts";
import { markdownString } from "../show.ts";

/** A snippet file in VS Code's format. */
const Snippets = v.record(
  v.string(),
  v.object({ prefix: v.string(), description: v.string(), body: v.array(v.string()) }),
);

/** The typed word if it may be a snippet's prefix; not a member access. */
const TYPED = /(?<![\w$.'"`/-])[\w-]*$/;

/** Snippets for model files only; snippets of the manifest would show in every TypeScript file. */
export class ModelSnippets implements vscode.CompletionItemProvider {
  readonly #file: string;
  #read: Promise<vscode.CompletionItem[]> | undefined;

  constructor(extensionUri: vscode.Uri) {
    this.#file = vscode.Uri.joinPath(extensionUri, "media", "snippets.json").fsPath;
  }

  register(): vscode.Disposable {
    return vscode.languages.registerCompletionItemProvider({ pattern: MODEL_FILES }, this);
  }

  async provideCompletionItems(
    document: vscode.TextDocument,
    position: vscode.Position,
  ): Promise<vscode.CompletionItem[]> {
    const before = document.lineAt(position).text.slice(0, position.character);
    const typed = TYPED.exec(before)?.[0];
    if (typed === undefined || !"nn-".startsWith(typed.slice(0, 3))) return [];
    // VS Code's words end at a hyphen, prefixes don't.
    const range = new vscode.Range(position.translate(0, -typed.length), position);
    this.#read ??= this.#items();
    return (await this.#read).map((item) =>
      Object.assign(new vscode.CompletionItem(item.label), item, { range }),
    );
  }

  async #items(): Promise<vscode.CompletionItem[]> {
    const snippets = v.parse(Snippets, JSON.parse(await readFile(this.#file, "utf8")));
    return Object.values(snippets).map(({ prefix, description, body }) => {
      const item = new vscode.CompletionItem(
        { label: prefix, description },
        vscode.CompletionItemKind.Snippet,
      );
      const text = body.join("\n");
      item.insertText = new vscode.SnippetString(text);
      item.documentation = markdownString(markdownBlock(plain(text), "typescript"));
      item.sortText = `z${prefix}`;
      return item;
    });
  }
}

/** A snippet's text with the defaults of its placeholders. */
const plain = (body: string): string => body.replaceAll(/\$\{\d+:([^{}]*)\}/g, "$1").replaceAll("$0", "");
