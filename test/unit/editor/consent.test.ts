/** Actions that send a file to the process that runs it, by trust and by the setting `preview.automatic`. */
import { readFileSync } from "node:fs";
import { beforeEach, expect, test, vi } from "vitest";
import { sourcesOf } from "../../../scripts/l10n.mjs";
import { PATIENT } from "../../patience.ts";
import { asked, Document, engine, host, resetHost } from "./previewHost.ts";

vi.mock("vscode", async () => (await import("./previewHost.ts")).vscode);

async function open(): Promise<{
  previews: import("../../../extension/editor/previews.ts").Previews;
  document: Document & import("vscode").TextDocument;
}> {
  const { Previews } = await import("../../../extension/editor/previews.ts");
  const document = new Document("/w/net.nn.ts", "export {};");
  host.documents = [document];
  return { previews: new Previews(engine as never), document: document as never };
}

/** All events of a file while it is edited. */
async function work({ previews, document }: Awaited<ReturnType<typeof open>>): Promise<void> {
  host.fire("editors", [{ document }]);
  previews.follow(document);
  host.fire("change", { document, contentChanges: [{}] });
  host.fire("save", new Document("/w/other.nn.ts", ""));
  previews.follow(document);
  await previews.inspectVersion(
    "/w/net.nn.ts",
    { text: "", version: { kind: "run", directory: "/w" }, name: "head" },
    false,
  );
  await new Promise((resolve) => setTimeout(resolve, 250));
}

const set = (on: boolean): void => {
  host.settings["preview.automatic"] = on;
  host.fire("configuration", {
    affectsConfiguration: (name: string) => name === "layerwise.preview.automatic",
  });
};

beforeEach(resetHost);

test("a trusted file is run while it is open and typed", async () => {
  const opened = await open();
  await work(opened);
  expect(asked.length).toBeGreaterThanOrEqual(2);
});

test("an untrusted file is never run, not on request either", async () => {
  host.trusted = false;
  const opened = await open();
  await work(opened);
  opened.previews.request(opened.document);
  await opened.previews.inspectVersion(
    "/w/net.nn.ts",
    { text: "", version: { kind: "run", directory: "/w" }, name: "head" },
    true,
  );
  expect(asked).toEqual([]);
  expect(opened.previews.follow(opened.document)).toMatchObject({ withheld: "trust", busy: false });
});

test("with automatic previews off, a file is run once for each request", async () => {
  host.settings["preview.automatic"] = false;
  const opened = await open();
  const { previews, document } = opened;
  await work(opened);
  expect(asked).toEqual([]);
  expect(previews.follow(document)).toMatchObject({ withheld: "request", report: undefined, busy: false });

  previews.request(document);
  await vi.waitFor(() => expect(previews.follow(document).report).toBeDefined(), PATIENT);
  expect(previews.follow(document).outdated).toBe(false);
  await work(opened);
  expect(asked).toEqual(["/w/net.nn.ts"]);
  expect(previews.follow(document)).toMatchObject({ outdated: true, busy: false });

  previews.request(document);
  await vi.waitFor(() => expect(previews.follow(document).outdated).toBe(false), PATIENT);
  expect(asked).toHaveLength(2);
});

test("trust alone doesn't run files where automatic previews are off", async () => {
  host.trusted = false;
  host.settings["preview.automatic"] = false;
  const opened = await open();
  host.trusted = true;
  host.fire("trust", undefined);
  await work(opened);
  expect(asked).toEqual([]);
});

test("the setting takes effect at once, in both directions", async () => {
  const opened = await open();
  const { previews, document } = opened;
  previews.follow(document);
  await vi.waitFor(() => expect(previews.follow(document).report).toBeDefined(), PATIENT);
  host.fire("change", { document, contentChanges: [{}] });
  set(false);
  await work(opened);
  expect(asked).toHaveLength(1);
  expect(previews.follow(document)).toMatchObject({ withheld: "request", outdated: true, busy: false });
  set(true);
  await vi.waitFor(() => expect(asked).toHaveLength(2), PATIENT);
});

test("only previews ask the engine, after the one place that decides", () => {
  const sources = sourcesOf("extension/editor").filter((file: string) => file.endsWith(".ts"));
  expect(sources.length).toBeGreaterThan(20);
  const asking = sources.filter((file: string) =>
    /(?:engine|Engine)\.inspect\(/.test(readFileSync(file, "utf8")),
  );
  expect(asking).toEqual(["extension/editor/previews.ts"]);
  const previews = readFileSync("extension/editor/previews.ts", "utf8");
  expect(previews.match(/this\.#engine\.inspect\(/g)).toHaveLength(2);
  expect(previews.match(/withheld\(asked\) !== undefined\)/g)).toHaveLength(2);
});
