// Snippets are code like any other: with their defaults they run.
import fs from "node:fs";
import { expect, test } from "vitest";
import { useWorkspace } from "../workspace.ts";

const snippets: Record<string, { prefix: string; body: string[] }> = JSON.parse(
  fs.readFileSync(new URL("../../../media/snippets.json", import.meta.url), "utf8"),
);
/** A snippet's text with its placeholders' defaults. */
function text(prefix: string): string {
  const { body } = Object.values(snippets).find((snippet) => snippet.prefix === prefix)!;
  return body
    .join("\n")
    .replaceAll(/\$\{\d+:([^{}]*)\}/g, "$1")
    .replaceAll("$0", "");
}

const workspace = useWorkspace("all");

test("a file of all snippets trains in its loop, saves and loads", async () => {
  const step = text("nn-trainstep").replace(/^trainStep/, "  trainStep");
  workspace.write(
    "all.nn.ts",
    [
      text("nn-import"),
      text("nn-module"),
      text("nn-residual"),
      text("nn-dataset"),
      `class Block extends nn.Module {\n  ${text("nn-convblock")}\n  forward(x: Tensor): Tensor { return this.block(x); }\n}`,
      text("nn-experiment").replace("  epochs: 20,", `  epochs: 2,\n${step}`),
      text("nn-loop").replace("<= 20", "<= 2"),
      text("nn-save"),
      `console.log(new Residual(2)(new Block()(torch.randn(1, 1, 8, 8)).narrow(1, 0, 2)).shape.join());`,
      `console.log(new Samples().get(50)[1]!.item());`,
    ].join("\n"),
  );
  const ran = await workspace.run(["run", "all.nn.ts"]);
  expect(ran.stderr).toBe("");
  expect(ran.stdout).toMatch(/^Epoch 1 loss \d\S+\nEpoch 2 loss \d\S+\n1,2,4,4\n2\n$/);
  const trained = await workspace.run(["train", "all.nn.ts", "--no-progress"]);
  expect(trained.code, trained.stderr).toBe(0);
});
