import { readFileSync } from "node:fs";
import { expect, test, vi } from "vitest";
import type { CheckpointRecord, RunRecord, RunState } from "../../../extension/protocol/run.ts";

vi.mock("vscode", () => {
  class ThemeColor {
    readonly id: string;
    constructor(id: string) {
      this.id = id;
    }
  }
  class ThemeIcon {
    readonly id: string;
    readonly color: ThemeColor | undefined;
    constructor(id: string, color?: ThemeColor) {
      this.id = id;
      this.color = color;
    }
  }
  class TreeItem {
    readonly label: string;
    constructor(label: string) {
      this.label = label;
    }
  }
  return {
    ThemeColor,
    ThemeIcon,
    TreeItem,
    TreeItemCollapsibleState: { None: 0, Collapsed: 1, Expanded: 2 },
    MarkdownString: vi.fn(),
    EventEmitter: vi.fn(),
    l10n: { t: (text: string) => text },
    workspace: { asRelativePath: (file: string) => file },
  };
});

const checkpoint: CheckpointRecord = {
  file: "best.safetensors",
  kind: "best",
  epoch: 1,
  step: 3,
  metrics: {},
  savedAt: "2026-01-01T00:00:00Z",
  bytes: 10,
};

test("a click on a checkpoint opens its tensors", async () => {
  const { checkpointItem } = await import("../../../extension/editor/sidebar/runItems.ts");
  expect(checkpointItem({ directory: "/w/run", checkpoint, best: true }).command).toEqual({
    command: "layerwise.inspectCheckpoint",
    title: "Inspect Tensors",
    arguments: [{ directory: "/w/run", checkpoint }],
  });
});

/** VS Code's colours that its high contrast themes have none of. */
const WITHOUT_HIGH_CONTRAST = ["list.errorForeground", "list.warningForeground"];

test("icons of runs have colours of their meaning, also in high contrast", async () => {
  const { runItem } = await import("../../../extension/editor/sidebar/runItems.ts");
  const colour = (state: RunState): string | undefined => {
    const record = {
      id: "r",
      model: "Net",
      createdAt: "",
      epoch: 1,
      epochs: 1,
      state,
      file: "/w/a.nn.ts",
      exportName: "default",
      metrics: {},
      checkpoints: [],
    };
    const node = {
      directory: "/w/run",
      record: record as unknown as RunRecord,
      labels: { name: "", tags: [] },
    };
    const { iconPath } = runItem(node as never, false);
    return (iconPath as unknown as { color?: { id: string } }).color?.id;
  };
  for (const state of ["failed", "killed", "finished"] as const)
    expect(WITHOUT_HIGH_CONTRAST).not.toContain(colour(state) ?? "list.errorForeground");
  // Without one, VS Code draws this icon as that of its debugger, in red.
  expect(colour("stopped")).toBe("icon.foreground");
});

test("a run's own commands are offered also while other runs are selected", () => {
  expect(readFileSync("package.json", "utf8")).not.toContain("listMultiSelection");
});
