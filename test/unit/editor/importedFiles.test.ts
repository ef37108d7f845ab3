import { beforeEach, expect, test, vi } from "vitest";
import { PATIENT } from "../../patience.ts";
import { asked, Document, engine, host, imports, resetHost } from "./previewHost.ts";

vi.mock("vscode", async () => (await import("./previewHost.ts")).vscode);

beforeEach(resetHost);

const NET = "/w/net.nn.ts";
const OTHER = "/w/other.nn.ts";
const LAYERS = "/blocks/layers.ts";

async function open(): Promise<{
  previews: import("../../../extension/editor/previews.ts").Previews;
  documents: Document[];
}> {
  const { Previews } = await import("../../../extension/editor/previews.ts");
  const documents = [new Document(NET, ""), new Document(OTHER, "")];
  host.documents = documents;
  imports.set(NET, [LAYERS]);
  const previews = new Previews(engine as never);
  for (const document of documents) previews.follow(document as never);
  await vi.waitFor(() => expect(host.watched).toContain("/blocks"), PATIENT);
  asked.length = 0;
  return { previews, documents };
}

const saved = { uri: { fsPath: LAYERS } };

test.each([
  ["saved in an editor", "save", saved],
  ["changed on disk", "change /blocks", saved.uri],
  ["replaced on disk", "create /blocks", saved.uri],
  ["deleted", "delete /blocks", saved.uri],
])("an imported file that is %s rebuilds the files that import it", async (_, event, value) => {
  await open();
  host.fire(event, value);
  await vi.waitFor(() => expect(asked).toEqual([NET]), PATIENT);
});

test("many changes at once are one rebuild, and other files of the folder none", async () => {
  await open();
  host.fire("change /blocks", { fsPath: "/blocks/unrelated.ts" });
  host.fire("save", { uri: { fsPath: "/w/unrelated.nn.ts" } });
  for (let i = 0; i < 20; i++) host.fire("change /blocks", saved.uri);
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(asked).toEqual([NET]);
});

test("a folder is watched as long as a followed file imports from it", async () => {
  const { documents } = await open();
  host.fire("close", documents[1]);
  expect([...host.watched]).toEqual(["/blocks"]);
  host.fire("close", documents[0]);
  expect([...host.watched]).toEqual([]);
});

test("a profile is told when an imported file changes", async () => {
  const { previews } = await open();
  const edited = vi.fn<(uri: { fsPath: string }) => void>();
  previews.onDidEdit(edited);
  host.fire("change /blocks", saved.uri);
  expect(edited.mock.calls.map(([{ fsPath }]) => fsPath)).toEqual([NET]);
});
