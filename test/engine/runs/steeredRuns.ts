import { afterEach } from "vitest";
import type { RunRequest } from "../../../extension/protocol/engine.ts";
import type { RunProcess } from "../../../extension/supervisor/engines/runProcess.ts";
import { spawnRun, type RunEvents, type RunHandle } from "../../../extension/supervisor/runs/run.ts";
import { dist, experimentFile, type Command, type Workspace } from "../workspace.ts";

/** Runs of a workspace's net.nn.ts in the folder "run": of the command line, and as the editor starts them. */
export function useRuns(workspace: Workspace) {
  const handles: RunHandle[] = [];
  afterEach(async () => {
    await Promise.all(handles.splice(0).map((handle) => handle.kill()));
  });
  const plainRequest = (): RunRequest => ({
    kind: "train",
    file: workspace.file("net.nn.ts"),
    exportName: "default",
    directory: workspace.file("run"),
    device: "cpu",
    outlive: false,
  });
  /** An endless training, and its first epochs. */
  const training = async (
    options: Readonly<Record<string, string>> = {},
  ): Promise<{ command: Command; directory: string }> => {
    workspace.write("net.nn.ts", experimentFile(options));
    const command = workspace.start(["train", "net.nn.ts", "--out", "run"]);
    await command.printed("Epoch [3/");
    return { command, directory: workspace.file("run") };
  };
  const spawn = (
    request: Partial<RunRequest> = {},
    events: RunEvents = {},
    spare?: RunProcess,
  ): RunHandle => {
    const handle = spawnRun({ ...plainRequest(), ...request }, events, { dist }, spare);
    handles.push(handle);
    return handle;
  };
  return { plainRequest, training, spawn };
}
