import { beforeEach, expect, test, vi } from "vitest";

const host = vi.hoisted(() => ({
  active: undefined as string | undefined,
  panel: undefined as string | undefined,
  offered: [] as { label: string; description?: string }[],
}));

vi.mock("vscode", () => {
  const uri = (path: string): object => ({ path, fsPath: path });
  return {
    l10n: { t: (text: string) => text },
    window: {
      get activeTextEditor() {
        return host.active === undefined ? undefined : { document: { uri: uri(host.active) } };
      },
      showQuickPick: (items: typeof host.offered) => {
        host.offered = items;
        return Promise.resolve(items[0]);
      },
    },
    workspace: {
      textDocuments: [],
      asRelativePath: ({ path }: { path: string }) => path.replace("/w/", ""),
      findFiles: () => Promise.resolve([uri("/w/net.nn.ts"), uri("/w/b/net.nn.ts"), uri("/w/a/other.nn.ts")]),
      openTextDocument: (file: unknown) => Promise.resolve(file),
    },
  };
});

type Targets = InstanceType<typeof Targets>;
const { Targets } = await import("../../../extension/editor/targets.ts");

const targets = new Targets({} as never, () => Promise.resolve(host.panel));

beforeEach(() => {
  host.offered = [];
  host.active = undefined;
  host.panel = undefined;
});

test("a command takes the file of the editor or the panel that has the focus", async () => {
  host.panel = "/w/shared.nn.ts";
  expect(await targets.file({})).toBe("/w/shared.nn.ts");
  host.active = "/w/net.nn.ts";
  expect(await targets.file({})).toBe("/w/net.nn.ts");
  expect(await targets.file({ file: "/w/given.nn.ts" })).toBe("/w/given.nn.ts");
  expect(host.offered).toEqual([]);
});

test("files that are asked for have their name and folder once", async () => {
  expect(await targets.file({})).toMatchObject({ path: "/w/a/other.nn.ts" });
  expect(host.offered.map(({ label, description }) => [label, description])).toEqual([
    ["other.nn.ts", "a"],
    ["net.nn.ts", "b"],
    ["net.nn.ts", ""],
  ]);
});

test("a file with a syntax error isn't run: its preview's error is thrown, unless the text has changed since", async () => {
  const uri = { fsPath: "/w/net.nn.ts", path: "/w/net.nn.ts", toString: () => "net" };
  const document = { uri, version: 3, isDirty: false, getText: () => "export default experiment({" };
  const report = (code: string, version: number): Targets => {
    const errors = [
      { code, message: "Unexpected end of file", position: { file: uri.fsPath, line: 1, column: 28 } },
    ];
    const previews = { get: () => ({ report: { errors }, source: { version } }) };
    const made = new Targets(previews as never, () => Promise.resolve(undefined));
    made.file = () => Promise.resolve(document as never);
    return made;
  };
  const target = { exportName: "default" };
  await expect(report("syntax", 3).experimentToRun(target)).rejects.toMatchObject({
    cause: { code: "syntax", position: { line: 1 } },
  });
  // It may be gone by now.
  for (const found of [report("syntax", 2), report("import", 3)])
    expect(await found.experimentToRun(target)).toEqual({ document, exportName: "default" });
});
