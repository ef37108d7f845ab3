import { beforeEach, expect, test, vi } from "vitest";

const host = vi.hoisted(() => ({
  active: undefined as string | undefined,
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
      asRelativePath: ({ path }: { path: string }) => path.replace("/w/", ""),
      findFiles: () => Promise.resolve([uri("/w/net.nn.ts"), uri("/w/b/net.nn.ts"), uri("/w/a/other.nn.ts")]),
      openTextDocument: (file: unknown) => Promise.resolve(file),
    },
  };
});

const { chooseFile, usePanelFile } = await import("../../../extension/editor/targets.ts");

beforeEach(() => {
  host.offered = [];
  host.active = undefined;
  usePanelFile(() => Promise.resolve(undefined));
});

test("a command takes the file of the editor or the panel that has the focus", async () => {
  usePanelFile(() => Promise.resolve("/w/shared.nn.ts"));
  expect(await chooseFile({})).toBe("/w/shared.nn.ts");
  host.active = "/w/net.nn.ts";
  expect(await chooseFile({})).toBe("/w/net.nn.ts");
  expect(await chooseFile({ file: "/w/given.nn.ts" })).toBe("/w/given.nn.ts");
  expect(host.offered).toEqual([]);
});

test("files that are asked for have their name and folder once", async () => {
  expect(await chooseFile({})).toMatchObject({ path: "/w/a/other.nn.ts" });
  expect(host.offered.map(({ label, description }) => [label, description])).toEqual([
    ["other.nn.ts", "a"],
    ["net.nn.ts", "b"],
    ["net.nn.ts", ""],
  ]);
});
