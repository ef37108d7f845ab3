/** Rules of the source that no type expresses. */
import fs from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";

const root = path.join(import.meta.dirname, "..", "..", "..", "extension");

/** Sources below folders of the extension, by their paths there. */
function sources(...folders: string[]): [string, string][] {
  return folders.flatMap((folder) =>
    fs
      .readdirSync(path.join(root, folder), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts"))
      .map((name): [string, string] => {
        const file = path.join(root, folder, name);
        return [path.relative(root, file).split(path.sep).join("/"), fs.readFileSync(file, "utf8")];
      }),
  );
}

const SIGNALS = /process\.kill\([^)]|\bchild(?:\.\w+)?\.kill\(|taskkill|\bkill\(-/;

test("signals are sent in one place", () => {
  const senders = sources(".").filter(([, text]) => SIGNALS.test(text));
  expect(senders.map(([name]) => name)).toEqual(["processes/signals.ts"]);
});

test("a bare name of a program is run by no code that may stand in a stranger's folder on Windows", () => {
  const bare = sources("processes", "supervisor").filter(([, text]) =>
    /"(?:powershell|taskkill)(?:\.exe)?"/.test(text.replaceAll(/windowsProgram\([^)]*\)/g, "")),
  );
  expect(bare.map(([name]) => name)).toEqual([]);
});

/** Functions that change a file, a folder or a workspace: those of Node, of extension/files, of VS Code. */
const WRITERS =
  /import \{[^}]*\b(?:rename|rm|rmdir|mkdir|writeFile|appendFile|unlink|open|link|symlink|copyFile|cp|utimes|truncate|writeAtomic\w*|writeRunFile|AppendFile|openAppend)\b[^}]*\} from "(?:node:fs|[./]+files\/)|workspace\.fs\.(?:writeFile|delete|rename|copy|createDirectory)\(/;

/** A process of its own on another machine, with a folder of its own there. */
const ELSEWHERE = /^supervisor\/remote\//;

/** Writes where the user has just named the place, in a dialog. */
const BY_DIALOG = ["editor/panels/runTable.ts", "editor/panels/saveImage.ts"];

test("whatever the extension host writes, it first asks whether the workspace is trusted", () => {
  const writers = sources("supervisor", "editor").filter(([, text]) => WRITERS.test(text));
  expect(writers.length).toBeGreaterThan(5);
  const unasked = writers.filter(
    ([name, text]) => !ELSEWHERE.test(name) && !/\b(?:demandTrust)\(\)/.test(text),
  );
  expect(unasked.map(([name]) => name).toSorted()).toEqual(BY_DIALOG);
});

test("what runs on other machines is loaded by no other process", () => {
  const loading = sources(".").filter(
    ([name, text]) => !ELSEWHERE.test(name) && /from "[^"]*supervisor\/remote\//.test(text),
  );
  expect(loading.map(([name]) => name)).toEqual([]);
});
