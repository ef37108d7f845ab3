import path from "node:path";
import { expect, it } from "vitest";
import { readRows } from "../../engine/workspace.ts";
import { useFolder } from "../../folders.ts";
import { slow } from "../../slow.ts";
import { describeUnless } from "../../unless.ts";
import { distance, start, unable, weightsOf, type Weights } from "./training.ts";

type Values = Readonly<Record<string, number>>;

/** Small trainings by their names in models.nn.ts: those that every test run compares with one process come first. */
const MODELS = ["adam", "cnn", "lstm", "transformer", "sgd", "clipped", "ignoring", "saving"];
const QUICK = 4;
/** Trained by more than two workers, too. */
const BY_FOUR = ["sgd", "adam", "clipped", "cnn", "lstm", "transformer"];

const folder = useFolder("all");

/** The weights of each process, and the values of the curves. */
async function trained(model: string, workers: number): Promise<{ weights: Weights[]; curves: Values[] }> {
  const options = workers === 1 ? [] : ["--workers", String(workers)];
  const training = start(path.join(folder, `${model}-${workers}`), model, ...options);
  const { code, text } = await training.ended;
  expect(code, text).toBe(0);
  const curves = readRows(path.join(training.folder, "run")).map(({ values }) => values);
  return { weights: weightsOf(training), curves };
}

describeUnless(unable, "several workers", () => {
  const alone = new Map<string, ReturnType<typeof trained>>();
  const cases: [model: string, workers: number, later: boolean][] = [
    ...MODELS.map((model, i) => [model, 2, i >= QUICK] as [string, number, boolean]),
    ...BY_FOUR.map((model) => [model, 4, true] as [string, number, boolean]),
  ];
  for (const [model, workers, later] of cases)
    it(
      `train ${model} by ${workers} as one process trains it`,
      { timeout: 300_000, ...(later && slow) },
      async () => {
        if (!alone.has(model)) alone.set(model, trained(model, 1));
        const expected = await alone.get(model)!;
        const { weights, curves } = await trained(model, workers);
        expect(weights).toHaveLength(workers);
        for (const one of weights) expect(one, "bit for bit").toEqual(weights[0]);
        expect(distance(weights[0]!, expected.weights[0]!)).toBeLessThan(1e-6);
        expect(curves.map((values) => Object.keys(values))).toEqual(
          expected.curves.map((values) => Object.keys(values)),
        );
        curves.forEach((values, i) => {
          for (const [name, value] of Object.entries(values))
            expect(value, name).toBeCloseTo(expected.curves[i]![name]!, 5);
        });
      },
    );

  it(
    "stay equal when callbacks draw random numbers at saves by time",
    { ...slow, timeout: 300_000 },
    async () => {
      const {
        weights: [first, second],
      } = await trained("timed", 2);
      expect(second, "bit for bit").toEqual(first);
    },
  );

  it("end with the user's error, and are not started again", async () => {
    const { code, text } = await start(path.join(folder, "faulty"), "faulty", "--workers", "2").ended;
    expect(code).toBe(1);
    expect(text).toContain("No such model");
    expect(text).not.toContain("start again");
  });
});
