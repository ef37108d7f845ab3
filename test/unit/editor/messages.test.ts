import { expect, test, vi } from "vitest";
import { EngineError } from "../../../extension/protocol/errors.ts";

const shown = vi.hoisted(() => vi.fn<(text: string, ...actions: string[]) => Promise<undefined>>());

vi.mock("vscode", () => ({
  l10n: { t: (text: string) => text },
  window: {
    // A notification that was moved to the notification centre: it stays without an answer.
    showErrorMessage: shown.mockReturnValue(new Promise(() => undefined)),
    createOutputChannel: () => ({ error: () => undefined, dispose: () => undefined }),
  },
}));

test("each click that fails shows its reason, also while an equal notification is unanswered", async () => {
  const { Messages } = await import("../../../extension/editor/messages.ts");
  const messages = new Messages();
  for (let click = 0; click < 2; click++)
    messages.error(new EngineError({ code: "untrusted", message: "Trust the workspace first." }));
  expect(shown.mock.calls).toEqual([
    ["Trust the workspace first.", "Manage Workspace Trust"],
    ["Trust the workspace first.", "Manage Workspace Trust"],
  ]);
});
