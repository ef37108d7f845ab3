import { expect, it } from "vitest";
import { oneAtATime } from "../../../webview/shared/oneAtATime.ts";

it("does work once at a time, and once more for all calls meanwhile", async () => {
  const answers: (() => void)[] = [];
  let [atOnce, most] = [0, 0];
  const work = oneAtATime(async () => {
    most = Math.max(most, ++atOnce);
    await new Promise<void>((resolve) => answers.push(resolve));
    atOnce--;
  });
  const calls = [work(), work(), work()];
  expect(answers).toHaveLength(1);
  answers[0]!();
  await expect.poll(() => answers.length).toBe(2);
  answers[1]!();
  await Promise.all(calls);
  expect([answers.length, most]).toEqual([2, 1]);
});

it("fails with the work, and works again", async () => {
  let fails = true;
  const work = oneAtATime(() =>
    fails ? Promise.reject(new Error("The process ended.")) : Promise.resolve(),
  );
  await expect(work()).rejects.toThrow("The process ended.");
  fails = false;
  await work();
});
