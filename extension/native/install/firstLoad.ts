import { codeString } from "../../protocol/text/code.ts";
import { TENSORFLOW_VERSION, type Host } from "../cache.ts";
import { runCommand } from "./command.ts";
import { NativeError } from "../errors.ts";

/** Loads a binding and TensorFlow in another process, and returns TensorFlow's version. */
export const tryBinding = (binding: string, host: Host, signal?: AbortSignal): Promise<string> =>
  evaluate(`require(${codeString(binding)}).loadTensorFlow()`, host, signal);

/** Whether the binding of a build for GPUs finds one, in another process. */
export const tryGpu = async (binding: string, host: Host, signal?: AbortSignal): Promise<boolean> =>
  (await evaluate(`require(${codeString(binding)}).isUsingGpuDevice()`, host, signal)) === "true";

async function evaluate(expression: string, host: Host, signal: AbortSignal | undefined): Promise<string> {
  const script = `process.stdout.write(String(${expression}))`;
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
