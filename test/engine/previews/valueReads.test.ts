import { expect, test } from "vitest";
import type { ModelReport } from "../../../extension/protocol/preview.ts";
import { usePreviews } from "../previews.ts";
import { experimentFile, useWorkspace } from "../workspace.ts";

const workspace = useWorkspace();
const previews = usePreviews("all");

/** A model that reads a value in its forward. */
const reading = (forward: string): string =>
  experimentFile({}).replace(
    /forward\(x: Tensor\)[^]*?\n {2}\}/,
    `forward(x: Tensor): Tensor {\n${forward}\n  }`,
  );

test("a forward that reads values is shown to its end, with the lines that read them", async () => {
  const read = async (forward: string): Promise<Partial<ModelReport>> => {
    const text = reading(forward);
    expect(text).toContain(forward);
    const report = await previews.inspect({ file: workspace.file("reading.nn.ts"), text });
    expect(report.errors).toEqual([]);
    return report.models[0]!;
  };
  const times = (model: Partial<ModelReport>): unknown =>
    model.rows!.find(({ path: at }) => at === "fc")!.calls;
  const branch = await read(
    "    const n = x.sum().item() % 5 + 1;\n    for (let i = 0; i < n; i++) this.fc(x);\n    return this.fc(x);",
  );
  expect(times(branch)).toBe(2);
  expect(branch.multiplyAdds).toBeGreaterThan(0);
  expect(branch.flow!.nodes.some(({ kind }) => kind === "output")).toBe(true);
  expect(branch.error).toBeUndefined();
  expect(branch.reads).toMatchObject({ places: [{ line: expect.any(Number) }], complete: true });
  const loop = await read(
    "    for (let i = 0; i < 6; i++) if (this.fc(x).mean().item() > 0.9) break;\n    return this.fc(x);",
  );
  expect(times(loop)).toBe(7);
  expect(loop.reads).toMatchObject({ complete: true });
  const waiting = await read("    while (this.fc(x).mean().item() < 1);\n    return this.fc(x);");
  expect(waiting.reads).toMatchObject({ complete: false });
  const empty = await read(
    "    const n = x.sum().item();\n    if (n === 0) throw new Error('no tokens');\n    return this.fc(x);",
  );
  expect(empty.error).toBeUndefined();
  expect(empty.reads).toMatchObject({ complete: false });
  const mask = await read("    return torch.nonzero(this.fc(x));");
  expect(mask.reads).toMatchObject({ complete: false });
  expect((await read("    return this.fc(x);")).reads).toBeUndefined();
});
