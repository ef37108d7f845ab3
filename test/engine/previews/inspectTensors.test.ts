import path from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { jsonLines, useWorkspace } from "../workspace.ts";

const workspace = useWorkspace();

describe("inspect", () => {
  const golden = fileURLToPath(new URL("../../fixtures/golden/files/data", import.meta.url));
  const fixture = (name: string): string => path.join(golden, name);

  test("lists tensors with what their values are like, as a table and as JSON", async () => {
    const { stdout, code } = await workspace.run(["inspect", fixture("checkpoint.pth")]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^tensor +type +shape +bytes +min +max +mean +std +zeros +NaN, inf +histogram$/m);
    expect(stdout).toMatch(/^model_state_dict\.fc1\.weight +F32 +\[5, 10\] +200 .* [▁▂▃▄▅▆▇█]{20}$/m);
    expect(stdout).toContain("16 tensors, ");
    // The file's other values, too.
    expect(stdout).toMatch(/^epoch: 5\noptimizer_state_dict\.param_groups\.0\.lr: 0\.01$/m);
    expect(stdout).toMatch(/^history: \[0\.5, 0\.25, null, true\]$/m);
    const json = jsonLines(
      (await workspace.run(["inspect", fixture("simple.safetensors"), "--json"])).stdout,
    );
    expect(json[0]).toMatchObject({ format: "safetensors", tensors: json.length - 1 });
    expect(json[1]).toMatchObject({ dtype: "F32", zeros: expect.any(Number), mean: expect.any(Number) });
  });

  test("compares two files", async () => {
    const files = [fixture("state_simplenn.pth"), fixture("legacy_state.pth")] as const;
    const { stdout } = await workspace.run(["inspect", files[0], "--compare", files[1]]);
    expect(stdout).toMatch(/^fc1\.weight +values +50 of 50 values, by [\d.]+ at most$/m);
    const same = await workspace.run(["inspect", files[0], "--compare", files[0]]);
    expect(same.stdout).toContain("0 of the tensors differ, 4 are the same.");
    const other = await workspace.run([
      "inspect",
      files[0],
      "--compare",
      fixture("state_cnn_small.pth"),
      "--json",
    ]);
    expect(new Set(jsonLines(other.stdout).map(({ change }) => change))).toEqual(
      new Set(["removed", "added"]),
    );
  });

  test("a hostile file is refused in words", async () => {
    for (const [name, message, ...options] of [
      ["evil_os_system.pth", 'the file asks for "posix.system", which is not allowed'],
      ["bad_crc.pth", "is damaged: its checksum differs"],
      ["bad_crc.pth", "is damaged: its checksum differs", "--json"],
      ["bad_crc.pth", "is damaged: its checksum differs", "--compare", fixture("bad_crc.pth")],
    ] as const) {
      const { stdout, stderr, code } = await workspace.run(["inspect", fixture(name), ...options]);
      const said = stdout + stderr;
      expect([code, said]).toEqual([1, expect.stringContaining(message)]);
      expect(said).toContain(name);
      expect(said).not.toContain("    at ");
    }
  });
});
