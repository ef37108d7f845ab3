/** The data of an experiment in VS Code: from its lens to samples, pairs and draws, before any training. */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { parquetWriteBuffer } from "hyparquet-writer";
import { PNG } from "pngjs";
import { row, until } from "../../harness.ts";
import { chooseFromMenu } from "../library/menu.ts";
import { sharedWorkbench } from "../library/tier.ts";
import { looks } from "../library/looks.ts";

const FILE = "seen.nn.ts";

/** Digits that are moved at random, of which the validation set has some of the training set's. */
const SOURCE = `import { nn, optim, data, experiment, transforms } from "layerwise";

const digits = data.digits();
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

export default experiment({
  seed: 0,
  model: () => new nn.Sequential(new nn.Flatten(), new nn.Linear(64, 10)),
  data: () => ({
    train: new data.Subset(digits, range(0, 1000)),
    validation: new data.Subset(digits, range(900, 1200)),
    test: new data.TransformDataset(digits, { transform: new transforms.RandomCrop(8, { padding: 2 }) }),
  }),
  loss: new nn.CrossEntropyLoss(),
  optimizer: (parameters) => new optim.Adam(parameters, { lr: 0.001 }),
  batchSize: 32,
  epochs: 1,
});
`;

const test = row("examples");

test("the Data lens, its panel, equal samples, and draws of one", async () => {
  const workbench = await sharedWorkbench("examples");
  const { folder } = workbench;
  await workbench.activated();
  fs.writeFileSync(path.join(folder, FILE), SOURCE);
  await workbench.openFile(FILE);
  await workbench.openByLens("Data", `Data: ${FILE}`);
  const frame = await workbench.webview("data", 90_000);
  await frame.locator(".cards > li").nth(23).waitFor();
  const splits = await frame.locator(".splits tbody tr").allInnerTexts();
  assert.match(splits[0]!, /Training\s+1,000/);
  assert.match(splits[1]!, /Validation\s+300.*100$/s);
  assert.match(
    await frame.locator(".finding").first().innerText(),
    /100 of 300 validation samples \(33\.3 %\)/,
  );
  assert.match(await frame.locator(".batch").innerText(), /\[32, 1, 8, 8\]/);
  await frame.getByText(/Show \d+ pairs/).click();
  await frame.locator(".pairs-of-samples > li").first().waitFor();
  await looks(workbench, frame, "data");
  await frame.locator(".section-samples .segmented label", { hasText: "Test" }).click();
  await until("the test samples", async () =>
    /of 1,797/.test(await frame.locator(".list-foot [role=status]").innerText()),
  );
  await frame.locator(".section-samples .card").nth(3).click();
  await frame.locator(".draws li").nth(7).waitFor();
  const pictures = (): Promise<string[]> =>
    frame.locator(".draws img").evaluateAll((all) => all.map((one) => (one as HTMLImageElement).src));
  const before = await pictures();
  assert.ok(new Set(before).size > 2, "all draws are equal");
  await frame.locator(".looked .button", { hasText: "Draw Again" }).click();
  await until("other draws", async () => (await pictures()).join() !== before.join());
  await workbench.screenshot("data-draws");
  assert.deepEqual(workbench.complaints, []);
}, 150_000);

test("View Tensor opens a sample's values as a table", async () => {
  const workbench = await sharedWorkbench("examples");
  const { page } = workbench;
  await workbench.activated();
  await workbench.openFile("iris.nn.ts");
  await workbench.openByLens("Data", "Data: iris.nn.ts");
  const data = await workbench.webview("data", 90_000);
  await data.locator(".cards > li").nth(23).waitFor();
  await data.locator(".section-samples .card").first().click();
  await data.locator('vscode-button[aria-label="View Tensor input"]').click();
  const frame = await workbench.webview("tensor", 30_000);
  await frame.locator("h1", { hasText: "input" }).waitFor();
  await until("four values", async () => {
    const cells = await frame.locator(".cell").allInnerTexts();
    return cells.length === 4 && cells.every((one) => /^-?\d+\.\d{4}$/.test(one));
  });
  await frame.locator(".grid").focus();
  await page.keyboard.press("ArrowDown");
  await until("the cell's place", async () =>
    (await frame.locator(".readout").innerText()).startsWith("[1] = "),
  );
  await page.keyboard.press("Control+A");
  await page.keyboard.press("Control+C");
  await frame.getByText("Copied 4 values.").waitFor();
  await looks(workbench, frame, "tensor");
  assert.deepEqual(workbench.complaints, []);
}, 150_000);

/** A picture of one colour, as a file. */
function picture(shade: number): Buffer {
  const image = new PNG({ width: 8, height: 8 });
  image.data.fill(shade);
  return PNG.sync.write(image);
}

test("Use in a Model shows the code of a table or a folder of images, and puts it into a new file", async () => {
  const workbench = await sharedWorkbench("examples");
  const { page, folder } = workbench;
  await workbench.activated();
  const rows = Array.from(
    { length: 120 },
    (_, i) => `${(i % 3) + (i % 7) / 20},${i % 5},${["a", "b", "c"][i % 3]}`,
  );
  fs.writeFileSync(path.join(folder, "letters.csv"), `x,y,letter\n${rows.join("\n")}\n`);
  await workbench.showView("Explorer");
  const item = page.getByRole("treeitem", { name: "letters.csv" });
  const tab = page.locator(".tab", { hasText: "Use letters.csv in a Model" });
  await chooseFromMenu(item, "Use in a Model", () => tab.waitFor({ timeout: 5000 }));
  const frame = await workbench.webview("dataFile", 60_000);
  await frame.getByText('target: "letter"').waitFor();
  await looks(workbench, frame, "data-file");
  await frame.locator('vscode-button[aria-label="Create File"]').click();
  await page.locator('.tab.active[data-resource-name="letters.nn.ts"]').waitFor();
  await until("the code in the file", () =>
    /data\.csv\("letters\.csv"/.test(fs.readFileSync(path.join(folder, "letters.nn.ts"), "utf8")),
  );

  const columns = {
    x: Float64Array.from({ length: 40 }, (_, i) => i / 8),
    letter: Array.from({ length: 40 }, (_, i) => "ab"[i % 2]!),
  };
  const parquet = parquetWriteBuffer({
    columnData: [
      { name: "x", data: columns.x, type: "DOUBLE" },
      { name: "letter", data: columns.letter, type: "STRING" },
    ],
  });
  fs.writeFileSync(path.join(folder, "more.parquet"), Buffer.from(parquet));
  for (const [i, name] of ["dark", "light"].entries()) {
    fs.mkdirSync(path.join(folder, "shades", name), { recursive: true });
    for (let shade = 0; shade < 4; shade++)
      fs.writeFileSync(path.join(folder, "shades", name, `${shade}.png`), picture(128 * i + shade));
  }
  for (const [name, code] of [
    ["more.parquet", 'data.parquet("more.parquet"'],
    ["shades", 'new data.ImageFolder("shades"'],
  ] as const) {
    await workbench.showView("Explorer");
    const used = page.locator(".tab", { hasText: `Use ${name} in a Model` });
    const entry = page.getByRole("treeitem", { name, exact: true });
    await chooseFromMenu(entry, "Use in a Model", () => used.waitFor({ timeout: 5000 }));
    await (await workbench.webview("dataFile", 60_000)).getByText(code).first().waitFor();
  }
  assert.deepEqual(workbench.complaints, []);
}, 180_000);
