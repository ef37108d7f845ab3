import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { row, until } from "../../harness.ts";
import { simpleNN, writeModel } from "../../models.ts";
import { runRecords } from "../../runDirectories.ts";
import { temporaryFolder } from "../library/browser.ts";
import { closeWorkbench, openWorkbench, sharedWorkbench } from "../library/tier.ts";
import type { Workbench } from "../library/workbench.ts";

/** The window that these tests share, all but the last. */
const ROW = "empty folder";
const test = row(ROW);

/** Its squiggles are TypeScript's alone. */
const openFolder = (): Promise<Workbench> =>
  sharedWorkbench(ROW, () => ({
    folder: temporaryFolder("workspace"),
    settings: { "layerwise.diagnostics.enabled": false },
  }));

test("from an empty folder: a file written by hand and one from a template have their lenses", async () => {
  const workbench = await openFolder();
  const { page } = workbench;
  await workbench.command("File: New Untitled Text File");
  await page.locator(".editor-instance .monaco-editor.focused").waitFor();
  writeModel(workbench.folder, "mine.nn.ts", simpleNN(100));
  await workbench.openFile("mine.nn.ts");
  await workbench.lens("67 parameters").waitFor();
  await workbench.activated();
  await workbench.quick.answer("a new model", async () => {
    await workbench.command("Layerwise: New Model");
    await workbench.quick.choose("autoencoder");
    await workbench.quick.accept("autoencoder.nn.ts");
  });
  await page.locator('.tab.active[data-resource-name="autoencoder.nn.ts"]').waitFor();
  await workbench.lens(/^[\d,]+ parameters/).waitFor();
}, 120_000);

test("a model follows the files that it imports when they change on disk, in the folder and outside of it", async () => {
  const workbench = await openFolder();
  const { folder } = workbench;
  const size = path.join(folder, "size.ts");
  const classes = path.join(temporaryFolder("library"), "classes.ts");
  writeFileSync(size, "export const size = 16;");
  writeFileSync(classes, "export const classes = 2;");
  writeModel(
    folder,
    "importing.nn.ts",
    `import { torch, nn, optim, data, experiment } from "layerwise";
import { size } from "./size";
import { classes } from ${JSON.stringify(classes)};

class Net extends nn.Sequential {
  constructor() {
    super(new nn.Linear(size, classes));
  }
}

export default experiment({
  model: () => new Net(),
  data: () => new data.TensorDataset(torch.randn(8, size), torch.randint(0, classes, [8])),
  loss: new nn.CrossEntropyLoss(),
  optimizer: (parameters) => new optim.SGD(parameters, { lr: 0.1 }),
  epochs: 1,
});
`,
  );
  await workbench.openFile("importing.nn.ts");
  await workbench.lens("34 parameters").waitFor();
  writeFileSync(size, "export const size = 24;");
  await workbench.lens("50 parameters").waitFor();
  writeFileSync(classes, "export const classes = 3;");
  await workbench.lens("75 parameters").waitFor();
}, 120_000);

test("Train on a file with a syntax error leads to its line, and begins no run", async () => {
  const workbench = await openFolder();
  const { page, folder } = workbench;
  // Its preview has found the error, or the engine does.
  for (const [name, automatic] of [
    ["broken.nn.ts", true],
    ["unseen.nn.ts", false],
  ] as const) {
    writeModel(folder, name, simpleNN(100).replace("return this.fc2(x);", "return this.fc2(x;"));
    workbench.useSettings({ "layerwise.preview.automatic": automatic });
    await workbench.openFile(name);
    await workbench.clickLens("Train", () =>
      workbench.notification(/Expected "\)" but found ";"/).waitFor({ timeout: 10_000 }),
    );
    await until("no run", () => Promise.resolve(runRecords(folder).length === 0));
    await until("no panel", async () => (await page.getByRole("tab", { name: /^Training/ }).count()) === 0);
    assert.equal(await page.locator(".notification-list-item", { hasText: "Go to Line" }).count(), 1);
    await workbench.screenshot(`syntax-${automatic ? "seen" : "unseen"}`);
    await workbench.command("Notifications: Clear All Notifications");
  }
}, 120_000);

test("types and completions of layerwise in a folder without node_modules", async () => {
  const workbench = await openFolder();
  const { page, folder } = workbench;
  writeModel(folder, "simple.nn.ts", simpleNN(100));
  await workbench.openFile("simple.nn.ts");
  await page.keyboard.press("Control+End");
  await page.keyboard.type("new nn.Conv2");
  const suggestion = page.locator(".suggest-widget .monaco-list-row", { hasText: "Conv2d" }).first();
  await until(
    "the completion Conv2d",
    async () => {
      // A completion list requested before TypeScript knew the types stays empty.
      await page.keyboard.press("Escape");
      await page.keyboard.press("Control+Space");
      return suggestion.waitFor({ timeout: 3000 }).then(() => true);
    },
    40_000,
  );
  await workbench.screenshot("completion");
  await page.keyboard.press("Escape");
  // The unfinished line is wrong, and only that line: the import and the model above have their types.
  await page.keyboard.type("d(1, 8, 3).weight.shape.join();");
  await until(
    "no error in the file",
    async () => (await page.locator(".squiggly-error").count()) === 0,
    20_000,
  );
  await page.keyboard.type("\nconst wrong: string = new nn.Linear(1, 2);");
  // Half a word may have been wrong in another way.
  await until(
    "an error, and only that",
    async () => (await page.locator(".squiggly-error").count()) === 1,
    20_000,
  );
  await workbench.command("File: Revert File");
}, 120_000);

test("an untrusted folder has static features only, until it is trusted", async () => {
  const folder = temporaryFolder("workspace");
  writeModel(folder, "simple.nn.ts", simpleNN(100));
  const workbench = await openWorkbench({
    folder,
    workspaceTrust: true,
    settings: {
      "security.workspace.trust.startupPrompt": "never",
      "security.workspace.trust.banner": "never",
    },
  });
  const { page } = workbench;
  await workbench.activated();
  const restricted = page.locator('[id="status.workspaceTrust"]');
  await restricted.waitFor();
  await workbench.openFile("simple.nn.ts");
  await workbench.lens("Preview").waitFor();
  assert.equal(await workbench.lens("Train").count(), 0);
  assert.equal(await workbench.lens("parameters").count(), 0);
  assert.equal(await workbench.quick.offers("Layerwise: Train"), false);
  await workbench.showSideBar();
  await page.getByRole("button", { name: "Manage Workspace Trust" }).first().waitFor();
  await workbench.screenshot("restricted");
  await workbench.clickLens("Preview", () =>
    workbench.notification("not trusted").waitFor({ timeout: 5000 }),
  );
  await workbench.command("Workspaces: Manage Workspace Trust");
  await page
    .locator(".workspace-trust-editor")
    .getByRole("button", { name: "Trust", exact: true })
    .first()
    .click();
  await restricted.waitFor({ state: "hidden" });
  await workbench.openFile("simple.nn.ts");
  await workbench.lens("Train").waitFor();
  await workbench.lens("67 parameters").waitFor();
  await closeWorkbench(workbench);
}, 120_000);
