/** The table of runs in the training panel. */
import assert from "node:assert/strict";
import type { ListedRun } from "../../../../extension/protocol/views.ts";
import { test, until } from "../../../harness.ts";
import { called, screenshotPage } from "../page.ts";
import { ended, runningAt } from "../recordings.ts";
import { Folder, names, open, press } from "./folder.ts";

test("runs: the table is sorted and filtered, and says by what", async () => {
  const snapshot = ended("finished");
  const folder = new Folder(snapshot, 3);
  const panel = await open(snapshot, folder);
  const ids = folder.runs.map(({ run }) => run.id);
  await until("the runs", async () => (await names(panel)).length === 4);
  assert.deepEqual(await names(panel), ids);
  await panel.page.getByRole("button", { name: "val_loss" }).click();
  const sorted = [...folder.runs].sort((a, b) => a.run.metrics["val_loss"]! - b.run.metrics["val_loss"]!);
  const shows = (ids: readonly string[]): Promise<unknown> =>
    until(ids.join(), async () => (await names(panel)).join() === ids.join());
  // Newest first may be the same order: only the heading tells when the table is sorted.
  await until(
    "sorted by val_loss",
    async () =>
      (await panel.page.locator(".runs-table th[aria-sort]").getAttribute("aria-sort")) === "ascending",
  );
  await shows(sorted.map(({ run }) => run.id));
  await panel.page.getByRole("button", { name: "val_loss" }).click();
  await shows(sorted.map(({ run }) => run.id).reverse());
  await panel.page.getByLabel("Filter runs").fill("20260131");
  await shows([snapshot.run.id]);
});

test("runs: the row of the panel's own run follows its messages", async () => {
  const snapshot = runningAt(100);
  const folder = new Folder(snapshot, 1);
  const panel = await open(snapshot, folder);
  const rows = panel.page.locator(".runs-table tbody tr");
  await until("the runs", async () => (await rows.count()) === 2);
  const shows = (value: string): Promise<unknown> => rows.first().getByText(value).waitFor();
  const run = { ...snapshot.run, epoch: 7, metrics: { ...snapshot.run.metrics, val_loss: 0.1234 } };
  // The folder, which the table is read from every ten seconds, never has this.
  await panel.view.record(run, true);
  await shows("0.1234");
  await panel.view.record({ ...run, state: "finished" }, false);
  await shows("Finished");
});

test("runs: the table has the columns that were chosen", async () => {
  const snapshot = ended("finished");
  const folder = new Folder(snapshot, 2);
  folder.runs[1]!.run.hyperparameters = { width: 64, loss: "mse" };
  const panel = await open(snapshot, folder);
  const heads = async (): Promise<string[]> => {
    const texts = await panel.page.locator(".runs-table thead th").allInnerTexts();
    return texts.map((text) => text.trim()).filter((text) => !["Draw", "Actions", ""].includes(text));
  };
  await until("the runs", async () => (await names(panel)).length === 3);
  assert.deepEqual((await heads()).slice(0, 4), ["Run", "State", "Started", "Epoch"]);
  await panel.page.getByText("Columns", { exact: true }).click();
  for (const name of ["Started", "accuracy"])
    await panel.page
      .getByRole("group", { name: "Columns" })
      .getByRole("checkbox", { name, exact: true })
      .click();
  await panel.page.getByRole("group", { name: "Columns" }).getByRole("checkbox", { name: "width" }).click();
  await until("the chosen columns", async () => {
    const now = await heads();
    return now.includes("width") && !now.includes("Started") && !now.includes("accuracy");
  });
  const row = panel.page.locator(".runs-table tbody tr").nth(1);
  assert.match((await row.innerText()).replaceAll(/\s+/g, " "), / 64( |$)/);
  await screenshotPage("training-run-columns");
  await press(panel, "Reset");
  await until("the columns of before", async () => (await heads()).includes("Started"));
});

test("runs: they are renamed, tagged, archived, opened and deleted", async () => {
  const snapshot = ended("finished");
  const folder = new Folder(snapshot, 2);
  const panel = await open(snapshot, folder);
  const [, { run: first }, { run: last }] = folder.runs as [ListedRun, ListedRun, ListedRun];
  const editor = panel.page.locator(".run-editor");
  await press(panel, `Rename ${first.id}`);
  await editor.fill("wide net");
  await editor.press("Escape");
  assert.deepEqual(panel.calls, []);
  await press(panel, `Rename ${first.id}`);
  await editor.fill("wide net");
  await editor.press("Enter");
  await panel.page.getByRole("button", { name: "wide net", exact: true }).waitFor();
  assert.equal(panel.calls.length, 1);
  await press(panel, "Edit Tags wide net");
  await editor.fill("dropout, , best");
  await editor.press("Enter");
  await panel.page.locator(".tag", { hasText: "dropout" }).waitFor();
  assert.deepEqual(folder.runs[1]!.labels, { name: "wide net", tags: ["dropout", "best"], archived: false });
  await press(panel, "Archive wide net");
  await until("it is out of sight", async () => (await names(panel)).length === 2);
  await panel.page.getByRole("checkbox", { name: "Archived" }).click();
  await press(panel, "Unarchive wide net");
  await until("it is back", () => !folder.runs[1]!.labels.archived);
  await panel.page.getByRole("button", { name: "wide net", exact: true }).click();
  assert.deepEqual(await called(panel, "openRun"), [first.id]);
  await press(panel, `Delete ${last.id}`);
  await until("it is gone", async () => (await names(panel)).length === 2);
  assert.equal(
    await panel.page.locator(`vscode-button[aria-label="Delete ${snapshot.run.id}"][disabled]`).count(),
    1,
    "the run that is shown stays",
  );
});

test("runs: in a narrow panel, legends have whole dashes, long names wrap, and a wide table shows that there is more", async () => {
  const snapshot = ended("finished");
  const long = "a metric with a long name, of many words, such as a generator would write";
  const metrics = { ...snapshot.run.metrics, [long]: 0.25 };
  const folder = new Folder(snapshot, 2);
  const name = "wide network with dropout and a name of many words";
  folder.label(folder.runs[1]!.run.id, { name, tags: [], archived: false });
  const panel = await open({ ...snapshot, run: { ...snapshot.run, metrics } }, folder);
  await panel.page.setViewportSize({ width: 320, height: 900 });
  await panel.page.getByRole("checkbox", { name: `Draw ${name}`, exact: true }).check();
  const dash = panel.page.locator(".swatch-other.swatch-validation").first();
  await dash.waitFor();
  assert.equal(await dash.evaluate((swatch) => swatch.getBoundingClientRect().width), 14);
  const cell = panel.page.locator("th.long-name", { hasText: long });
  assert.ok(await cell.evaluate((one) => one.getBoundingClientRect().width < 320));
  const runs = panel.page.getByRole("region", { name: "Runs" }).last();
  assert.ok(await runs.evaluate((one) => one.scrollWidth > one.clientWidth));
  assert.match(await runs.evaluate((one) => getComputedStyle(one).backgroundAttachment), /local.*scroll/);
});
