// Mistakes of twelve kinds that an agent finds by tools alone, and none in the same programs without them.
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { examples, useWorkspace } from "../workspace.ts";
import { useAgent } from "./client.ts";
import { DIVERGING, FAULTS, type Fault } from "./faults.ts";

interface Found {
  findings: { kind: string; text: string; title: string; step?: number }[];
}

const programs = fileURLToPath(new URL("../../programs", import.meta.url));
const workspace = useWorkspace("all");
const agent = useAgent(() => workspace.folder, { LAYERWISE_DEVICE: "cpu" });

/** All findings about a program, by the tools that need no training or by all. */
async function findings(file: string, by: Fault["by"], epochs?: number): Promise<Found["findings"]> {
  if (by !== "train") return (await agent.call<Found>(by, { file })).findings;
  const { run } = await agent.call<{ run: string }>("train", { file, epochs });
  const { ended } = await agent.call<{ ended: boolean }>("wait_for_run", { run, seconds: 120 });
  expect(ended).toBe(true);
  return (await agent.call<Found>("get_findings", { run })).findings;
}

/** Examples, with epochs that take a second or two. */
const EXAMPLES = { simplenn: 40, iris: 6, autoencoder: 2 };

describe("programs without a mistake", () => {
  test.each(Object.entries(EXAMPLES))("%s has no finding", async (name, epochs) => {
    const file = `${name}.nn.ts`;
    fs.copyFileSync(path.join(examples, file), workspace.file(file));
    expect(await findings(file, "train", epochs)).toEqual([]);
  });

  test("those of PyTorch's users have none that a preview shows", async () => {
    for (const name of fs.readdirSync(programs, { withFileTypes: true })) {
      if (!name.isDirectory()) continue;
      const file = `${name.name}.nn.ts`;
      fs.copyFileSync(path.join(programs, name.name, file), workspace.file(file));
      expect((await agent.call<Found>("check_file", { file })).findings, file).toEqual([]);
    }
  });
});

describe.each(FAULTS)("$name", ({ name, kind, by, faulty, sound }) => {
  const file = (what: string): string => `${name.replaceAll(/\W+/g, "-")}-${what}.nn.ts`;

  test("is found", async () => {
    workspace.write(file("faulty"), faulty);
    const kinds = (await findings(file("faulty"), by)).map((found) => found.kind);
    expect(kinds).toContain(kind);
    // A loss that is NaN says nothing about the mistake.
    expect(kinds).not.toContain("nonFinite");
  });

  test("is not found without it", async () => {
    workspace.write(file("sound"), sound);
    expect(await findings(file("sound"), by)).toEqual([]);
  });
});

test("gradients that explode are found before the loss is NaN", async () => {
  workspace.write("diverging.nn.ts", DIVERGING);
  const found = await findings("diverging.nn.ts", "train");
  const stepOf = (kind: string): number => found.find((one) => one.kind === kind)!.step!;
  expect(stepOf("explodingGradient")).toBeLessThan(stepOf("nonFinite"));
});
