import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import { createInterface } from "node:readline";
import { rm } from "node:fs/promises";
import * as v from "valibot";
import { openAppend } from "../../files/append.ts";
import { runPath } from "../../files/runFiles.ts";
import { signalChild } from "../../processes/signals.ts";
import { EngineError } from "../../protocol/errors.ts";
import { OPTUNA_FILE, Settings, type SweepRecord, type TrialRow } from "../../protocol/sweeps/sweep.ts";
import { engineEnvironment } from "../engines/process.ts";
import { demandTrust } from "../trust.ts";
import { OPTUNA_SCRIPT } from "./optunaScript.ts";

const Answer = v.object({
  id: v.number(),
  result: v.optional(v.unknown()),
  error: v.optional(v.string()),
});

interface Call {
  resolve(result: unknown): void;
  reject(error: Error): void;
}

/** Most characters of Python's errors that are kept for a message. */
const TAIL = 2000;
const LOCK_ENDING = ".lock";

/** A study of Optuna, in a Python process that ends with this one. */
export class OptunaStudy {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #calls = new Map<number, Call>();
  #count = 0;
  #stderr = "";
  #ended: EngineError | undefined;

  private constructor(child: ChildProcessWithoutNullStreams) {
    this.#child = child;
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-TAIL);
    });
    // Errors of writing to a process that has ended; its end says more.
    child.stdin.on("error", () => undefined);
    createInterface({ input: child.stdout }).on("line", (line) => this.#receive(line));
    const end = (why: string): void => {
      this.#ended = new EngineError({
        code: "optuna",
        message: `Optuna's process ended: ${why}.`,
        ...(this.#stderr.trim() === "" ? {} : { hint: this.#stderr.trim().split("\n").slice(-5).join("\n") }),
      });
      for (const call of this.#calls.values()) call.reject(this.#ended);
      this.#calls.clear();
    };
    child.once("error", (error) => end(error.message));
    child.once("close", (code, signal) => end(signal === null ? `exit code ${code}` : `signal ${signal}`));
  }

  /**
   * Opens the study of a sweep, or makes it.
   * @param python the interpreter of an environment that has Optuna
   * @throws EngineError "optuna"
   */
  static async open(
    python: string,
    directory: string,
    record: SweepRecord,
    trials: readonly TrialRow[],
  ): Promise<OptunaStudy> {
    demandTrust();
    const journal = await runPath(directory, OPTUNA_FILE);
    // Checks that it is a file of this folder, which Python then opens by its name.
    await (await openAppend(journal)).close();
    // The lock of a process that was killed while it wrote; the sweep has one owner, which is this process.
    await rm(await runPath(directory, `${OPTUNA_FILE}${LOCK_ENDING}`), { recursive: true, force: true });
    // Isolated: nothing is imported from the current folder, or by the user's environment.
    const child = spawn(python, ["-I", "-u", "-c", OPTUNA_SCRIPT], {
      stdio: ["pipe", "pipe", "pipe"],
      env: engineEnvironment(undefined),
      windowsHide: true,
      // A terminal's Ctrl-C is for this process to handle.
      detached: process.platform !== "win32",
    });
    const study = new OptunaStudy(child);
    const { id, space, search, pruner, seed, mode, parallel, gracePeriod, reductionFactor, epochs } = record;
    try {
      await study.#call("open", {
        journal,
        name: id,
        space,
        search: search === "tpe" ? "tpe" : "ours",
        pruner: pruner === "asha" ? "none" : pruner,
        seed,
        mode,
        parallel,
        grace: gracePeriod,
        reduction: reductionFactor,
        epochs,
        trials: trials.map(({ number, state, settings, value }) => ({ number, state, settings, value })),
      });
    } catch (error) {
      study.close();
      throw error;
    }
    return study;
  }

  /** Settings of a new trial; those given, if any. */
  async ask(number: number, settings?: Settings): Promise<Settings> {
    const answer = v.safeParse(Settings, await this.#call("ask", { number, settings: settings ?? null }));
    if (answer.success) return answer.output;
    throw new EngineError({
      code: "optuna",
      message: `Optuna gave invalid settings: ${v.summarize(answer.issues)}`,
    });
  }

  /** Reports a trial's value after an epoch. @returns whether the trial should end */
  async report(number: number, epoch: number, value: number): Promise<boolean> {
    return (await this.#call("report", { number, epoch, value })) === true;
  }

  async tell({ number, state, value }: Pick<TrialRow, "number" | "state" | "value">): Promise<void> {
    await this.#call("tell", { number, state, value: value ?? null });
  }

  /** Ends the process. */
  close(): void {
    this.#child.stdin.end();
    signalChild(this.#child, "SIGTERM");
  }

  #call(method: string, args: object): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== undefined) {
        reject(this.#ended);
        return;
      }
      const id = ++this.#count;
      this.#calls.set(id, { resolve, reject });
      this.#child.stdin.write(`${JSON.stringify({ id, method, arguments: args })}\n`);
    });
  }

  #receive(line: string): void {
    let answer: v.InferOutput<typeof Answer>;
    try {
      answer = v.parse(Answer, JSON.parse(line));
    } catch {
      return;
    }
    const call = this.#calls.get(answer.id);
    this.#calls.delete(answer.id);
    if (answer.error === undefined) call?.resolve(answer.result);
    else call?.reject(new EngineError({ code: "optuna", message: `Optuna failed: ${answer.error}` }));
  }
}
