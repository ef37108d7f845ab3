// The command that copies Layerwise's types into a folder's node_modules, where a stranger may have put anything.
import fs from "node:fs";
import path from "node:path";
import { expect, it, vi } from "vitest";
import { useFolder } from "../../folders.ts";

const root = useFolder();
const opened = { workspace: "" };

/** As VS Code's own functions, which write into the file that is there. */
vi.mock("vscode", () => {
  const uri = (fsPath: string): { fsPath: string } => ({ fsPath });
  return {
    Uri: {
      file: uri,
      joinPath: (base: { fsPath: string }, ...names: string[]) => uri(path.join(base.fsPath, ...names)),
    },
    l10n: { t: (text: string) => text },
    window: { showInformationMessage: () => Promise.resolve() },
    workspace: {
      get workspaceFolders() {
        return [{ uri: uri(opened.workspace) }];
      },
      asRelativePath: String,
      fs: {
        createDirectory: ({ fsPath }: { fsPath: string }) =>
          fs.promises.mkdir(fsPath, { recursive: true }).then(() => undefined),
        copy: (from: { fsPath: string }, to: { fsPath: string }) =>
          fs.promises.cp(from.fsPath, to.fsPath, { recursive: true }),
        writeFile: ({ fsPath }: { fsPath: string }, bytes: Uint8Array) =>
          fs.promises.writeFile(fsPath, bytes),
      },
    },
  };
});

it.skipIf(process.platform === "win32").each([
  ["another name of", fs.linkSync, false],
  ["a link to", fs.symlinkSync, true],
] as const)("has %s a user's file as the manifest of the types", async (_, make, refused) => {
  const { addTypes } = await import("../../../extension/editor/language/addTypes.ts");
  opened.workspace = path.join(root, "workspace");
  const victim = path.join(root, "thesis.txt");
  const types = path.join(root, "extension", "dist", "types");
  const manifest = path.join(opened.workspace, "node_modules", "layerwise", "package.json");
  for (const folder of [types, path.dirname(manifest)]) fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(path.join(types, "index.d.ts"), "export {};");
  fs.writeFileSync(victim, "years of work");
  make(victim, manifest);
  const extension = {
    packageJSON: { version: "1.0.0" },
    extensionUri: { fsPath: path.join(root, "extension") },
  };
  const done = addTypes(extension as never);
  if (refused) await expect(done).rejects.toThrow("symbolic link");
  else {
    await done;
    expect(fs.readFileSync(manifest, "utf8")).toContain('"version": "1.0.0"');
  }
  expect(fs.readFileSync(victim, "utf8")).toBe("years of work");
});
