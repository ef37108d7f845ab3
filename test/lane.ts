import { countsOf, runTests, type RunOptions } from "./harness.ts";

export interface Lane extends Pick<RunOptions, "onFailure"> {
  /** The tests that measure time: run with nothing beside them. */
  alone: RegExp;
  /** Ends what the tests have shared. */
  close: () => Promise<void>;
}

/**
 * Runs this process's share of what is registered, as lanes.mjs gives it out, and ends the process; it ends too when
 * that one has ended. `LAYERWISE_TEST_ONLY` picks tests by a part of their names.
 */
export async function runLane({ alone, close, onFailure }: Lane): Promise<never> {
  for (const signal of ["SIGINT", "SIGTERM", "disconnect"]) process.once(signal, () => process.exit(130));
  const isAlone = process.env["LAYERWISE_LANE"] === "alone";
  const outcomes = await runTests({
    print: (text) => void say({ text }),
    onFailure,
    only: process.env["LAYERWISE_TEST_ONLY"],
    which: (name) => alone.test(name) === isAlone,
    turn: () =>
      new Promise((resolve) => {
        process.once("message", resolve);
        void say("next");
      }),
  });
  await close();
  await say({ counts: countsOf(outcomes) });
  process.exit();
}

const say = (message: unknown): Promise<void> =>
  new Promise((resolve, reject) => {
    process.send!(message, undefined, {}, (error) => (error === null ? resolve() : reject(error)));
  });
