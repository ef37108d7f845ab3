// The bundled sets as users see them, and windows of a series.
import { beforeAll, describe, expect, test } from "vitest";
import { library } from "../../../../extension/engine/host/library.ts";
import { data, torch, type Tensor } from "../../../../extension/nn/index.ts";
import { useEngine } from "../../../engines.ts";

useEngine("cpu");
beforeAll(async () => {
  // Loading it says where the bundled sets are.
  expect(Object.keys(library)).toContain("data");
});

const values = (tensor: Tensor): number[] => [...tensor.toTypedArray()];

describe("bundled sets", () => {
  test("tables with classes", () => {
    expect([data.wine().length, data.wine().inputs.shape, data.wine().classes]).toEqual([
      178,
      [178, 13],
      ["class_0", "class_1", "class_2"],
    ]);
    expect(data.breastCancer().classes).toEqual(["malignant", "benign"]);
  });

  test("speeches: sentences and their years", () => {
    const { sentences, years } = data.speeches();
    expect([sentences.length, years.length]).toEqual([2400, 2400]);
    expect([years[0], sentences[0]]).toEqual([
      1790,
      "The abundant fruits of another year have blessed our country with plenty and with the means of a flourishing commerce.",
    ]);
    expect(years.filter((year) => year > 1900)).toHaveLength(1200);
    expect(sentences.every((sentence) => /^[A-Z].{49,}[.!?]$/.test(sentence))).toBe(true);
  });

  test("diabetes is scaled as in scikit-learn's load_diabetes()", () => {
    const [x, y] = data.diabetes().get(441);
    const expected = [
      -0.045472477940023646, -0.044641636506989144, -0.07303030271641665, -0.08141314376144114,
      0.08374011738825825, 0.027808929520208008, 0.17381578478910462, -0.03949338287409329,
      -0.00422151393810765, 0.0030644094143684884,
    ];
    values(x).forEach((value, i) => expect(value).toBeCloseTo(expected[i]!, 6));
    expect([y.shape, values(y)]).toEqual([[1], [57]]);
    expect(values(data.diabetes({ scaled: false }).get(0)[0]).slice(0, 3)).toEqual([
      59,
      2,
      Math.fround(32.1),
    ]);
  });

  test("series", () => {
    const weather = data.weather();
    expect(weather).toHaveLength(1461);
    expect(weather.names).toEqual(["precipitation", "temp_max", "temp_min", "wind"]);
    expect([weather.times[0], weather.weather[0], weather.times.at(-1)]).toEqual([
      "2012-01-01",
      "drizzle",
      "2015-12-31",
    ]);
    expect([...new Set(weather.weather)].sort()).toEqual(["drizzle", "fog", "rain", "snow", "sun"]);
    expect(values(weather.select("temp_max").values).slice(0, 3)).toEqual(
      [12.8, 10.6, 11.7].map(Math.fround),
    );
    expect(() => weather.select("temperature")).toThrow('there is no column "temperature"');
    const global = data.globalTemperature();
    expect([global.length, global.times.at(-1), global.names]).toEqual([144, "2023", ["temp"]]);
  });

  test("first names", () => {
    const { female, male } = data.firstNames();
    expect([female.length, male.length, male[0], male.at(-1)]).toEqual([4951, 3898, "Aaron", "Zolly"]);
    expect([...female, ...male].every((name) => /^[A-Z][A-Za-z-']*$/.test(name))).toBe(true);
  });
});

describe("WindowDataset", () => {
  test("a window and what follows it", () => {
    const set = new data.WindowDataset([0, 1, 2, 3, 4, 5, 6], { window: 3 });
    expect(set).toHaveLength(4);
    const [x, y] = set.get(1);
    expect([x.shape, values(x), y.shape, values(y)]).toEqual([[3, 1], [1, 2, 3], [1], [4]]);
  });

  test("longer horizons, strides and chosen targets", () => {
    const series = torch.tensor([...Array(8).keys()].map((i) => [i, 10 * i])).float();
    const set = new data.WindowDataset(series, { window: 2, horizon: 2, stride: 3, target: 1 });
    expect(set).toHaveLength(2);
    const [x, y] = set.get(-1);
    expect([x.shape, values(x), y.shape, values(y)]).toEqual([
      [2, 2],
      [3, 30, 4, 40],
      [2, 1],
      [50, 60],
    ]);
    const named = data.weather();
    const [, next] = new data.WindowDataset(named, { window: 2, target: ["temp_min", "wind"] }).get(0);
    expect(values(next)).toEqual([7.2, 2.3].map(Math.fround));
  });

  test("splits in the order of time, scaled by the first part, and nothing is predicted twice", () => {
    const series = [...Array(20).keys()];
    const set = new data.WindowDataset(series, { window: 2, horizon: 3, normalize: "standard" });
    const [train, test] = set.split([0.5, 0.5]);
    expect([train!.indices.at(-1), test!.indices[0]]).toEqual([7, 10]);
    // Points 0 to 11 are what the first part sees and predicts.
    const deviation = Math.sqrt((12 ** 2 - 1) / 12);
    const [x, y] = train!.get(0);
    expect(values(x)[0]).toBeCloseTo(-5.5 / deviation, 6);
    values(set.unscale(y)).forEach((value, i) => expect(value).toBeCloseTo(2 + i, 5));
    const predicted = (part: data.Subset<[Tensor, Tensor]>) =>
      new Set(Array.from(part, ([, next]) => values(set.unscale(next)).map(Math.round)).flat());
    const [early, late] = [predicted(train!), predicted(test!)];
    expect([...early].filter((value) => late.has(value))).toEqual([]);
  });

  test("what can't be is refused", () => {
    expect(() => new data.WindowDataset([1, 2], { window: 2 })).toThrow(
      "WindowDataset(): expected a series of at least 3 points in time, got 2",
    );
    expect(() => new data.WindowDataset([1, 2, 3], { window: 0 })).toThrow("window to be a whole number");
    expect(() => new data.WindowDataset([1, 2, 3], { window: 1, target: "x" })).toThrow('no column "x"');
  });
});
