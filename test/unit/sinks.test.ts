// Text from files reaches terminals, VS Code, pages and programs through one module each, which makes it plain. This walks
// the sources and finds who goes around them.
import { describe, expect, test } from "vitest";
import { parse, sourcesOf, syntaxOf, walk, type Node } from "../../scripts/l10n.mjs";

interface Rule {
  /** The finding, for the message. */
  what: string;
  finds: (node: Node) => boolean;
  /** Modules that the rule excepts. */
  allowed?: readonly string[];
}

const SHOW = "extension/editor/show.ts";
const OUTPUT = "extension/cli/output.ts";

/** `x.NAME`, `x["NAME"]`, or NAME in an import or in a destructuring. */
const named =
  (names: RegExp) =>
  (node: Node): boolean => {
    const name = (key: Node | undefined): unknown => key?.["name"] ?? key?.["value"];
    if (node.type === "MemberExpression") return names.test(String(name(node["property"])));
    if (node.type === "ImportSpecifier") return names.test(String(name(node["imported"])));
    return node.type === "Property" && names.test(String(name(node["key"])));
  };

const calls =
  (name: string) =>
  (node: Node): boolean =>
    (node.type === "CallExpression" || node.type === "NewExpression") &&
    (node["callee"].name ?? node["callee"].property?.name) === name;

/** A call or `new` of NAME whose argument at `index` isn't made by `made`. */
const callsWithout = (name: string, index: number, made: RegExp) => {
  const finds = calls(name);
  return (node: Node): boolean => {
    if (!finds(node)) return false;
    const argument = node["arguments"][index];
    return !(argument?.type === "CallExpression" && made.test(argument.callee.name ?? ""));
  };
};

const processStream = (node: Node): boolean =>
  node.type === "MemberExpression" &&
  node["object"].name === "process" &&
  (node["computed"] === true || /^(stdout|stderr|_rawDebug)$/.test(node["property"].name));

const consoleCall = (node: Node): boolean =>
  node.type === "MemberExpression" && node["object"].name === "console";

/** `element.innerHTML`, `unsafeHTML(…)`: names that turn a text into HTML or code. */
const MARKUP =
  /^(unsafe(HTML|SVG|MathML|Static|CSS)|innerHTML|outerHTML|insertAdjacentHTML|createContextualFragment|parseFromString|srcdoc|setHTMLUnsafe|enableCommandUris|write(ln)?)$/;

const RULES: Record<string, readonly Rule[]> = {
  "extension/editor": [
    {
      what: "a notification, list, input or progress of VS Code",
      finds: named(
        /^(show(Information|Warning|Error)Message|showQuickPick|createQuickPick|showInputBox|createInputBox|withProgress|setStatusBarMessage|createOutputChannel)$/,
      ),
      allowed: [SHOW],
    },
    { what: "Markdown of VS Code", finds: calls("MarkdownString"), allowed: [SHOW] },
    {
      what: "trusted Markdown",
      finds: (node) =>
        named(/^supportHtml$/)(node) ||
        (node.type === "AssignmentExpression" && node["left"].property?.name === "isTrusted"),
      allowed: [SHOW],
    },
    { what: "an append to Markdown", finds: named(/^append(Text|Markdown|Codeblock)$/) },
    {
      what: "a terminal",
      finds: named(/^(createTerminal|sendText|ShellExecution|CustomExecution)$/),
      // Presses Ctrl-C.
      allowed: ["extension/editor/runs/runningSweeps.ts"],
    },
    { what: "HTML", finds: named(MARKUP) },
    {
      what: "a tree, whose items are made plain",
      finds: named(/^(createTreeView|registerTreeDataProvider)$/),
      allowed: ["extension/editor/sidebar/treeView.ts"],
    },
    { what: "an unescaped hint", finds: callsWithout("InlayHint", 1, /^labelText$/) },
    { what: "an unescaped problem", finds: callsWithout("Diagnostic", 1, /^plainText$/) },
    { what: "an unescaped problem", finds: callsWithout("LayerDiagnostic", 1, /^plainText$/) },
    { what: "an unescaped code action", finds: callsWithout("CodeAction", 0, /^labelText$/) },
    { what: "an unescaped title", finds: callsWithout("createWebviewPanel", 1, /^labelText$/) },
    {
      what: "a panel's title",
      finds: ({ type, left }) =>
        type === "AssignmentExpression" &&
        left.property?.name === "title" &&
        (left.object.name ?? left.object.property?.name) === "panel",
      allowed: [SHOW],
    },
    {
      what: "a status bar item, task or debug session",
      finds: named(/^(createStatusBarItem|Task|startDebugging)$/),
      allowed: ["statusBar", "runs/tasks", "runs/attachDebugger"].map(
        (name) => `extension/editor/${name}.ts`,
      ),
    },
  ],
  extension: [
    {
      what: "a stream of the process",
      finds: processStream,
      // They pass on a running program's own output, write to the process that reads it, and are one side of a line; the script's
      // only counts the bytes that the program has written.
      allowed: [
        OUTPUT,
        "extension/supervisor/engines/process.ts",
        "extension/engine/files/hubDownload.ts",
        "extension/engine/entry/script.ts",
        "extension/supervisor/remote/agent.ts",
        "extension/supervisor/remote/main.ts",
      ],
    },
    {
      what: "the console",
      finds: consoleCall,
      // The user's own prints and warnings.
      allowed: ["extension/nn/print.ts", "extension/tensor/core/warnings.ts"],
    },
    {
      what: "text with escape sequences",
      finds: named(/^(printStderrColoured|stderrColours)$/),
      allowed: ["extension/cli/command.ts"],
    },
    {
      what: "output of a running program",
      finds: named(/^forwardOutput$/),
      allowed: ["extension/cli/display.ts", "extension/cli/followRun.ts"],
    },
    {
      what: "a progress bar",
      finds: (node) =>
        node.type === "ImportDeclaration" &&
        node["source"].value === "cli-progress" &&
        node["importKind"] !== "type",
      allowed: [OUTPUT],
    },
    {
      what: "Markdown by hand",
      finds: calls("Markdown"),
      allowed: ["protocol/text/markdown", "editor/language/hovers", "editor/language/inlayHints"].map(
        (name) => `extension/${name}.ts`,
      ),
    },
  ],
  webview: [
    { what: "HTML of a text", finds: named(MARKUP) },
    { what: "code of a text", finds: (node) => calls("eval")(node) || calls("Function")(node) },
    {
      what: "a link of a text",
      finds: (node) =>
        node.type === "TaggedTemplateExpression" &&
        (node["quasi"]["quasis"] as Node[]).some((part) =>
          /\b(href|action|style|on\w+)=["']?$/i.test(part["value"].raw),
        ),
    },
  ],
};

function found(rule: Rule, file: string, tree: Node): string[] {
  if (rule.allowed?.includes(file)) return [];
  let count = 0;
  walk(tree, (node) => {
    if (rule.finds(node)) count++;
  });
  return count === 0 ? [] : [`${file}: ${rule.what}`];
}

describe.each(Object.entries(RULES))(
  "in %s, nothing goes around the modules that make text plain",
  (folder, rules) => {
    const trees = sourcesOf(folder)
      .filter((file) => !file.endsWith(".d.ts"))
      .map((file) => [file, syntaxOf(file)] as const);

    test.each(rules.map((rule) => [rule.what, rule] as const))("%s", (_, rule) => {
      expect(trees.flatMap(([file, tree]) => found(rule, file, tree))).toEqual([]);
    });

    test("what is allowed is there", () => {
      for (const { allowed = [], what, finds } of rules)
        for (const file of allowed)
          expect(found({ what, finds }, file, syntaxOf(file)), `${file}: ${what}`).toHaveLength(1);
    });
  },
);

test.each([
  ["extension/editor", "void vscode.window.showInformationMessage(record.id)"],
  ["extension/editor", "const { showErrorMessage } = vscode.window"],
  ["extension/editor", 'vscode.window["showQuickPick"](items)'],
  ["extension/editor", "new vscode.MarkdownString(text)"],
  ["extension/editor", "hover.isTrusted = true"],
  ["extension/editor", "text.appendMarkdown(name)"],
  ["extension/editor", "new vscode.Diagnostic(range, error.message)"],
  ["extension/editor", "this.panel.title = record.model"],
  ["extension/editor", "vscode.window.createTerminal(name).sendText(command)"],
  ["extension", "process.stdout.write(name)"],
  ["extension", "process[stream].write(name)"],
  ["extension", "console.log(name)"],
  ["extension", 'import { forwardOutput } from "./output.ts"'],
  ["extension", 'import { SingleBar } from "cli-progress"'],
  ["extension", "new Markdown(name)"],
  ["webview", "html`${unsafeHTML(name)}`; import { unsafeHTML } from 'lit'"],
  ["webview", "element.innerHTML = name"],
  ["webview", "html`<a href=${url}>x</a>`"],
])("and the check for %s would notice %s", (folder, code) => {
  expect(RULES[folder]!.flatMap((rule) => found(rule, "new.ts", parse(code)))).not.toEqual([]);
});
