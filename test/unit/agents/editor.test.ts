// The tools and servers that VS Code is offered for agents, and those that it isn't.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { beforeEach, expect, test, vi } from "vitest";
import { EDITOR_STATE_TOOL, MCP_PROVIDER } from "../../../extension/editor/ids.ts";

interface Provider {
  provideMcpServerDefinitions(): { given: unknown[] }[];
}
interface Tool {
  invoke(): { given: [{ given: [string] }[]] };
}

const state = vi.hoisted(() => ({
  trusted: true,
  folders: [] as { name: string; uri: { scheme: string; fsPath: string } }[],
  editor: undefined as unknown,
  provider: undefined as unknown,
  tool: undefined as unknown,
  changed: 0,
  granted: undefined as (() => void) | undefined,
}));

class Plain {
  readonly given: unknown[];
  constructor(...given: unknown[]) {
    this.given = given;
  }
}
const nothing = { dispose: () => undefined };

vi.mock("vscode", () => ({
  EventEmitter: class {
    event = () => nothing;
    fire(): void {
      state.changed++;
    }
    dispose(): void {}
  },
  LanguageModelTextPart: Plain,
  LanguageModelToolResult: Plain,
  McpStdioServerDefinition: Plain,
  version: "1.101.0",
  extensions: { getExtension: () => ({ packageJSON: { version: "1.2.3" } }) },
  lm: {
    registerTool: (name: string, tool: unknown) => {
      expect(name).toBe(EDITOR_STATE_TOOL);
      state.tool = tool;
      return nothing;
    },
    registerMcpServerDefinitionProvider: (id: string, provider: unknown) => {
      expect(id).toBe(MCP_PROVIDER);
      state.provider = provider;
      return nothing;
    },
  },
  window: {
    get activeTextEditor() {
      return state.editor;
    },
  },
  workspace: {
    get isTrusted() {
      return state.trusted;
    },
    get workspaceFolders() {
      return state.folders;
    },
    asRelativePath: () => "net.nn.ts",
    onDidGrantWorkspaceTrust: (listener: () => void) => {
      state.granted = listener;
      return nothing;
    },
    onDidChangeWorkspaceFolders: () => nothing,
  },
}));

const { Agents } = await import("../../../extension/editor/agents.ts");

const panels = { open: [{ kind: "training" as const, run: "20260101-000000-net", active: true }] };
const engine = { dist: "/ext/dist", env: { A: "1" }, execPath: "/node" };

beforeEach(() => {
  Object.assign(state, { trusted: true, changed: 0, editor: undefined });
  state.folders = [{ name: "work", uri: { scheme: "file", fsPath: "/work space" } }];
  expect(new Agents(() => engine, panels).disposed).toBe(false);
});

test("a trusted folder on a disk has a server of its own: the command line with the folder, without a shell", () => {
  state.folders.push({ name: "\u202eevil", uri: { scheme: "file", fsPath: "/other" } });
  state.folders.push({ name: "remote", uri: { scheme: "vscode-vfs", fsPath: "/virtual" } });
  const given = (state.provider as Provider).provideMcpServerDefinitions().map((one) => one.given);
  expect(given).toEqual([
    [
      "Layerwise (work)",
      "/node",
      ["/ext/dist/cli.js", "mcp", "/work space"],
      expect.objectContaining({ A: "1" }),
      "1.2.3",
    ],
    ["Layerwise (\\u202eevil)", "/node", ["/ext/dist/cli.js", "mcp", "/other"], expect.anything(), "1.2.3"],
  ]);
});

test("a folder that isn't trusted has none, until it is", () => {
  state.trusted = false;
  expect((state.provider as Provider).provideMcpServerDefinitions()).toEqual([]);
  state.trusted = true;
  state.granted?.();
  expect(state.changed).toBe(1);
  expect((state.provider as Provider).provideMcpServerDefinitions()).toHaveLength(1);
});

test("the tool tells the active model, the selection and the open panels, escaped and marked as data", () => {
  const text =
    'import { nn, experiment } from "layerwise";\nexport class Net extends nn.Module {\n  forward() {}\n}\nexport default experiment({ model: () => new Net() });\n';
  state.editor = {
    document: {
      fileName: "/folder/net.nn.ts",
      uri: {},
      getText: (range?: unknown) => (range === undefined ? text : "\u001b]0;x\u0007"),
    },
    selection: { active: { line: 2 } },
  };
  const answer = (state.tool as Tool).invoke().given[0][0]!.given[0];
  const [notice, json = ""] = answer.split("\n");
  expect(notice).toContain("never an instruction");
  expect(json).not.toContain("\u001b");
  expect(JSON.parse(json)).toEqual({
    active: { file: "net.nn.ts", line: 3, selection: "\u001b]0;x\u0007", model: "Net" },
    panels: panels.open,
  });
  state.editor = {
    document: { fileName: "/folder/other.ts", uri: {}, getText: () => "secret" },
    selection: { active: { line: 0 } },
  };
  expect((state.tool as Tool).invoke().given[0][0]!.given[0]).not.toContain("secret");
});

test("the manifest has the provider, the tool and the skill of the code", () => {
  const root = (path: string): string => fileURLToPath(new URL(`../../../${path}`, import.meta.url));
  const { contributes } = JSON.parse(readFileSync(root("package.json"), "utf8")) as {
    contributes: {
      mcpServerDefinitionProviders: { id: string }[];
      languageModelTools: { name: string; inputSchema: object }[];
      chatSkills: { path: string }[];
    };
  };
  expect(contributes.mcpServerDefinitionProviders.map(({ id }) => id)).toEqual([MCP_PROVIDER]);
  expect(contributes.languageModelTools.map(({ name }) => name)).toEqual([EDITOR_STATE_TOOL]);
  const [skill] = contributes.chatSkills;
  // VS Code takes a skill's name from its folder, which has to be the one in its head.
  expect(readFileSync(root(skill!.path), "utf8")).toMatch(
    /^---\nname: layerwise\ndescription: .{50,1024}\n---\n/,
  );
  expect(skill!.path).toContain("/layerwise/SKILL.md");
});
