import path from "node:path";
import { codeString } from "../../protocol/text/code.ts";
import { BINDING_FILE, TENSORFLOW_VERSION, type Host } from "../cache.ts";
import { runCommand } from "./command.ts";
import { NativeError } from "../errors.ts";

/** Loads the binding of a folder in another process, and returns its TensorFlow version. */
export async function tryBinding(directory: string, host: Host, signal?: AbortSignal): Promise<string> {
  const script = `process.stdout.write(require(${codeString(path.join(directory, BINDING_FILE))}).TF_Version)`;
  const { code, stdout, output } = await runCommand(process.execPath, ["--eval", script], {
    // In the extension host, the executable is VS Code itself.
    env: { ...host.env, TF_CPP_MIN_LOG_LEVEL: "3", ELECTRON_RUN_AS_NODE: "1" },
    signal,
    limit: 120_000,
  });
  if (code === 0) return stdout;
  const line = output.split("\n").find((text) => text.startsWith("Error:")) ?? `exit code ${code}`;
  throw new NativeError(
    "load-failed",
    `TensorFlow ${TENSORFLOW_VERSION} can't be loaded here: ${line.replace(/^Error: /, "")}`,
    { detail: output },
  );
}
