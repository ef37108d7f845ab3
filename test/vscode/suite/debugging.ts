import assert from "node:assert/strict";
import * as vscode from "vscode";
import { test, until } from "../../harness.ts";
import { simpleNN } from "../../models.ts";
import { newestRun } from "../../runDirectories.ts";
import { openModel, workspaceFolder } from "./workspace.ts";

interface Variable {
  name: string;
  value: string;
  variablesReference: number;
}

type Ask = <T>(command: string, args: object) => Promise<T>;

async function children(ask: Ask, variablesReference: number): Promise<Map<string, Variable>> {
  const { variables } = await ask<{ variables: Variable[] }>("variables", { variablesReference });
  return new Map(variables.map((variable) => [variable.name, variable]));
}

test("Debug stops at a breakpoint in forward, where a tensor shows shape, numbers and values", async () => {
  const document = await openModel("debugged.nn.ts", simpleNN(3));
  const line = document
    .getText()
    .split("\n")
    .findIndex((text) => text.includes("this.relu(x)"));
  const breakpoint = new vscode.SourceBreakpoint(
    new vscode.Location(document.uri, new vscode.Position(line, 0)),
  );
  const stops: { session: vscode.DebugSession; threadId: number }[] = [];
  // Of a debugger and the sessions of its threads. `activeDebugSession` may be one that has ended: VS Code's extension
  // host sets it late when several end at once.
  const open = new Set<string>();
  const sessions: string[] = [];
  const watched = vscode.Disposable.from(
    vscode.debug.registerDebugAdapterTrackerFactory("*", {
      createDebugAdapterTracker: (session) => ({
        onDidSendMessage(message: { type: string; event?: string; body: { threadId: number } }) {
          if (message.event === "stopped") stops.push({ session, threadId: message.body.threadId });
        },
      }),
    }),
    vscode.debug.onDidStartDebugSession(({ id, name }) => {
      open.add(id);
      sessions.push(name);
    }),
    vscode.debug.onDidTerminateDebugSession(({ id }) => open.delete(id)),
  );
  vscode.debug.addBreakpoints([breakpoint]);
  try {
    await vscode.commands.executeCommand("layerwise.debug", {
      file: document.uri.fsPath,
      exportName: "default",
    });
    const { session, threadId } = await until("the breakpoint", () => stops[0], 30_000);
    const ask: Ask = async <T>(command: string, args: object) =>
      (await session.customRequest(command, args)) as T;
    const { stackFrames } = await ask<{
      stackFrames: { id: number; line: number; source: { path: string } }[];
    }>("stackTrace", { threadId, startFrame: 0, levels: 1 });
    const [frame] = stackFrames;
    assert.ok(frame);
    // A path, or the address that it has in a window on a remote machine.
    assert.ok(frame.source.path.endsWith(document.uri.fsPath), frame.source.path);
    assert.equal(frame.line, line + 1);
    const { scopes } = await ask<{ scopes: { name: string; variablesReference: number }[] }>("scopes", {
      frameId: frame.id,
    });
    const locals = await children(ask, scopes[0]?.variablesReference ?? 0);
    const x = locals.get("x");
    assert.equal(x?.value, "Tensor float32 [100, 5]");
    const properties = await children(ask, x.variablesReference);
    assert.match(properties.get("mean")?.value ?? "", /^-?0\.\d+$/);
    assert.equal(properties.get("gradFn")?.value, "'AddmmBackward0'");
    const values = await children(ask, properties.get("values")?.variablesReference ?? 0);
    assert.match(JSON.stringify([...values.values()]), /Float32Array\(5\)/);
    vscode.debug.removeBreakpoints([breakpoint]);
    await ask("continue", { threadId });
    await until("the end of the run", () => newestRun(workspaceFolder())?.state === "finished", 30_000);
    await until("the end of the debugger", () => open.size === 0);
    assert.equal(sessions.length, 2, `the debugger and the training, no threads: ${sessions.join(", ")}`);
  } finally {
    watched.dispose();
    vscode.debug.removeBreakpoints([breakpoint]);
    await vscode.debug.stopDebugging();
  }
}, 90_000);
