/** The form that puts a file of data into a model: its choices, and the code that they make. */
import assert from "node:assert/strict";
import type {
  DataFile,
  DataFileHostMethods,
  DataFileSnapshot,
  DataFileViewMethods,
  DataUse,
} from "../../../extension/protocol/data/dataFile.ts";
import { firstUse, wholeFile } from "../../../extension/editor/dataCode.ts";
import { test, until } from "../../harness.ts";
import { looks } from "./looks.ts";
import { called, openPanel, type Panel, type PanelOptions } from "./page.ts";

type Form = Panel<DataFileViewMethods>;

const TABLE: DataFile & { kind: "table" } = {
  kind: "table",
  path: "/home/ada/models/flowers.csv",
  rows: 300,
  more: false,
  delimiter: ",",
  header: true,
  columns: [
    { name: "length", type: "number", distinct: 290, missing: 0, whole: false, examples: ["5.1", "4.9"] },
    { name: "petals", type: "number", distinct: 5, missing: 43, whole: true, examples: ["3", "4", "5"] },
    { name: "<b>id</b>", type: "text", distinct: 300, missing: 0, whole: false, examples: ["f0", "f1"] },
    { name: "species", type: "category", distinct: 3, missing: 0, whole: false, examples: ["iris", "rose"] },
  ],
};
const IMAGES: DataFile = {
  kind: "images",
  path: "/home/ada/models/pets",
  classes: [
    { name: "cat", images: 120 },
    { name: "dog", images: 98 },
  ],
  more: false,
  width: 64,
  height: 48,
  others: 3,
};

const snapshot = (data: DataFile): DataFileSnapshot => ({
  data,
  use: firstUse(data, "flowers.nn.ts"),
  files: [{ file: "/home/ada/models/iris.nn.ts", label: "iris.nn.ts" }],
});

function open(
  options: Partial<PanelOptions<DataFileHostMethods>> = {},
  data: DataFile = TABLE,
): Promise<Form> {
  return openPanel<DataFileHostMethods, DataFileViewMethods>({
    view: "dataFile",
    ...options,
    host: {
      ready: () => Promise.resolve(snapshot(data)),
      code: (use) =>
        Promise.resolve({
          file: use.into.kind === "new" ? use.into.name : "iris.nn.ts",
          path: `/home/ada/models/${use.into.kind === "new" ? use.into.name : "iris.nn.ts"}`,
          code: wholeFile(data, use, "/home/ada/models"),
          ...(use.task === "regression" && use.target === "species"
            ? { problem: "A regression predicts numbers: choose a column of numbers, or classification." }
            : {}),
        }),
      ...options.host,
    },
  });
}

const shows = (form: Form, text: string | RegExp): Promise<unknown> =>
  until(`code with ${String(text)}`, async () => {
    const code = await form.page.locator(".code").innerText();
    return typeof text === "string" ? code.includes(text) : text.test(code);
  });

/** Chooses in a dropdown with the keyboard, as its user can. */
async function choose(form: Form, label: string, option: string): Promise<void> {
  await form.page.locator(`vscode-dropdown[aria-label="${label}"]`).click();
  await form.page
    .locator(`vscode-dropdown[aria-label="${label}"] vscode-option`, { hasText: option })
    .click();
}

test("dataFile: choices change the code, which is written on request", async () => {
  const form = await open();
  const { page } = form;
  await shows(form, 'target: "species"');
  await choose(form, "Column to predict", "length");
  await shows(form, /target: "length"[^]*MSELoss/);
  await choose(form, "Column to predict", "petals");
  await shows(form, /target: "petals"[^]*CrossEntropyLoss/);
  await page.getByLabel("Batch size").fill("64");
  await shows(form, "batchSize: 64");
  await page.locator('vscode-button[aria-label="Create File"]').click();
  const [use] = (await called(form, "save")) as [DataUse];
  assert.deepEqual(
    [use.target, use.task, use.batchSize, use.into],
    ["petals", "classification", 64, { kind: "new", name: "flowers.nn.ts" }],
  );
  assert.match(await page.locator(".section-table").innerText(), /<b>id<\/b>/);
  assert.deepEqual(await form.complaints(), []);
});

test("dataFile: after a file is created, the form offers the next free name", async () => {
  let names = 1;
  const code = (use: DataUse) => {
    const name = use.into.kind === "new" ? use.into.name : "iris.nn.ts";
    const taken = name === "flowers.nn.ts" && names > 1;
    return {
      file: name,
      path: `/home/ada/models/${name}`,
      code: wholeFile(TABLE, use, "/home/ada/models"),
      ...(taken ? { problem: "A file with this name exists already." } : {}),
    };
  };
  const form = await open({
    host: {
      ready: () =>
        Promise.resolve({
          ...snapshot(TABLE),
          use: firstUse(TABLE, names === 1 ? "flowers.nn.ts" : `flowers${names}.nn.ts`),
        }),
      code: (use) => Promise.resolve(code(use)),
      save: () => {
        names++;
        return Promise.resolve();
      },
    },
  });
  const { page } = form;
  await page.getByText("/home/ada/models/flowers.nn.ts", { exact: true }).waitFor();
  await page.getByLabel("Batch size").fill("64");
  await shows(form, "batchSize: 64");
  await page.locator('vscode-button[aria-label="Create File"]').click();
  await page.getByText("Code for flowers2.nn.ts").waitFor();
  await shows(form, "batchSize: 64");
  assert.equal(await page.locator(".problem").count(), 0);
  await until("the announcement", async () =>
    /^Created .*flowers\.nn\.ts/.test(await page.locator(".visually-hidden[role=status]").innerText()),
  );
});

test("dataFile: of a wide table, the columns at its ends can be chosen", async () => {
  const columns = Array.from({ length: 2000 }, (_, i) => ({
    ...TABLE.columns[0]!,
    name: `gene${i}`,
    examples: [],
  }));
  const form = await open({}, { ...TABLE, columns });
  await shows(form, 'target: "gene1999"');
  const options = form.page.locator('vscode-dropdown[aria-label="Column to predict"] vscode-option');
  assert.equal(await options.count(), 1000);
  assert.match(await form.page.locator(".section-form").innerText(), /The first and the last 500 columns/);
  assert.match(await form.page.locator(".section-table").innerText(), /The first 200 of 2,000\./);
});

test("dataFile: an invalid choice is explained and not written; an existing file can be chosen", async () => {
  const form = await open();
  const { page } = form;
  await shows(form, 'target: "species"');
  await page.getByText("Regression", { exact: true }).click();
  await page.getByText(/A regression predicts numbers/).waitFor();
  const create = page.locator('vscode-button[aria-label="Create File"]');
  assert.equal(await create.getAttribute("disabled"), "");
  await page.getByText("Classification", { exact: true }).click();
  await choose(form, "Write into", "iris.nn.ts");
  await page.getByText("Lines for iris.nn.ts").waitFor();
  await page.locator('vscode-button[aria-label="Insert Lines"]').click();
  const [use] = (await called(form, "save")) as [DataUse];
  assert.deepEqual(use.into, { kind: "existing", file: "/home/ada/models/iris.nn.ts" });
});

test("dataFile: a folder of images has its own choices; a file that can't be read says why", async () => {
  const form = await open({}, IMAGES);
  await shows(form, 'new data.ImageFolder("pets", {');
  await form.page.getByText("3 images are neither PNG nor JPEG files").waitFor();
  const failed = await open({ host: { ready: () => Promise.reject(new Error("flowers.csv has no rows.")) } });
  await failed.page.getByText("flowers.csv has no rows.").waitFor();
});

looks("dataFile looks right", "data-file", async (look) => {
  const form = await open(look);
  await shows(form, "species");
  return form;
});
looks(
  "dataFile looks right: images",
  "data-file-images",
  async (look) => {
    const form = await open(look, IMAGES);
    await shows(form, "pets");
    return form;
  },
  ["dark"],
);
