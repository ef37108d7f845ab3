import * as v from "valibot";
import { Finding, FINDING_NAMES, FINDING_RULES, FINDINGS_FILE } from "../../protocol/findings.ts";
import {
  LAYER_NAMES,
  LAYERS_FILE,
  LayerRow,
  type MetricRow,
  type ValueHistogram,
} from "../../protocol/run.ts";
import { readRows } from "../../supervisor/runs/metrics.ts";
import { readLastRecords } from "../../supervisor/runs/recordLines.ts";
import { pageOf } from "../answers.ts";
import {
  CURVE_RULES,
  describeCurves,
  generalisationLoss,
  pointRows,
  spikesOf,
  summarize,
  type CurveSummary,
  medianOf,
} from "../curves.ts";
import { limit, Num, Offset, Rest, RunId, ShownFinding, shownFinding, State, Values } from "../schemas.ts";
import type { Services } from "../services.ts";
import { tool, type Tool } from "../tool.ts";
import { runDetails } from "./training.ts";

/** Rows of a run's curves that are read: more are sampled evenly. */
const MOST_ROWS = 4000;
const MOST_METRICS = 30;

const Curve = v.object({
  metric: v.string(),
  points: v.number(),
  first: Num,
  last: Num,
  best: Num,
  bestEpoch: v.number(),
  bestStep: v.number(),
  trend: v.picklist(["rising", "falling", "flat", "too few points"]),
  noise: Num,
  plateau: v.boolean(),
  diverged: v.boolean(),
});

function curvesOf(rows: readonly MetricRow[]): CurveSummary[] {
  const epochs = pointRows(rows);
  const names = new Set(epochs.flatMap(({ values }) => Object.keys(values)));
  return [...names].slice(0, MOST_METRICS).flatMap((name) => summarize(name, epochs) ?? []);
}

export const summarizeCurves = ({ workspace }: Services): Tool =>
  tool({
    name: "summarize_curves",
    title: "Summarize Curves",
    description:
      "A training's curves in words and numbers: trend, best epoch, noise, spikes, plateau, overfitting, divergence. `rules` states how each is decided; `points` has the values of each epoch, evenly sampled; of each step where a run has no epochs, as imported ones.",
    effect: "reads",
    input: v.strictObject({
      run: RunId,
      points: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(100)), 20),
    }),
    output: v.object({
      words: v.array(v.string()),
      curves: v.array(Curve),
      spikes: v.array(v.number()),
      generalisationLoss: v.optional(v.object({ percent: Num, bestEpoch: v.number(), bestStep: v.number() })),
      points: v.array(v.object({ epoch: v.number(), step: v.number(), values: Values })),
      events: v.array(v.object({ step: v.number(), text: v.string() })),
      rules: v.record(v.string(), v.string()),
    }),
    async call({ run, points }) {
      const rows = await readRows(await workspace.run(run), MOST_ROWS);
      const curves = curvesOf(rows);
      const steps = rows.flatMap(({ kind, step, values }) =>
        kind === "step" && values["loss"] !== undefined ? [{ step, value: values["loss"] }] : [],
      );
      const spikes = spikesOf(steps);
      const epochs = pointRows(rows);
      const stride = Math.max(1, Math.ceil(epochs.length / Math.max(1, points)));
      const sampled =
        points === 0 ? [] : epochs.filter((_, i) => i % stride === 0 || i === epochs.length - 1);
      const events = rows.filter(({ kind }) => kind === "event").slice(-20);
      return {
        words: describeCurves(curves, rows, spikes),
        curves,
        spikes: spikes.slice(0, 50),
        generalisationLoss: generalisationLoss(epochs),
        points: sampled.map(({ epoch, step, values }) => ({
          epoch,
          step,
          values: Object.fromEntries(Object.entries(values).slice(0, MOST_METRICS)),
        })),
        events: events.map(({ step, text = "" }) => ({ step, text })),
        rules: CURVE_RULES,
      };
    },
  });

export const compareRuns = (services: Services): Tool =>
  tool({
    name: "compare_runs",
    title: "Compare Runs",
    description:
      "Two to ten runs side by side: the settings that differ, the metrics of each, and what its curves say.",
    effect: "reads",
    input: v.strictObject({ runs: v.pipe(v.array(RunId), v.minLength(2), v.maxLength(10)) }),
    output: v.object({
      differences: v.array(v.object({ setting: v.string(), values: v.array(v.string()) })),
      runs: v.array(
        v.object({
          run: v.string(),
          state: State,
          epoch: v.number(),
          metrics: Values,
          best: v.optional(v.object({ metric: v.string(), value: Num, epoch: v.number() })),
          words: v.array(v.string()),
        }),
      ),
    }),
    async call({ runs: ids }) {
      const all = await Promise.all(
        ids.map(async (id) => {
          const details = await runDetails(id, services);
          const rows = await readRows(await services.workspace.run(id), MOST_ROWS);
          return { details, words: describeCurves(curvesOf(rows), rows, []) };
        }),
      );
      const settings = all.map(({ details }): Record<string, string | number | boolean> => ({
        ...details.settings,
        model: details.model,
        file: details.file,
        exportName: details.exportName,
        epochs: details.epochs,
        seed: details.seed ?? "",
        parameters: details.parameters?.total ?? "",
      }));
      const names = new Set(settings.flatMap((one) => Object.keys(one)));
      const differences = [...names].flatMap((setting) => {
        const values = settings.map((one) => String(one[setting] ?? "").slice(0, 200));
        return new Set(values).size > 1 ? [{ setting, values }] : [];
      });
      return {
        differences: differences.slice(0, 50),
        runs: all.map(({ details: { run, state, epoch, metrics, best }, words }) => ({
          run,
          state,
          epoch,
          metrics,
          best,
          words: words.slice(0, 10),
        })),
      };
    },
  });

/** Checks of a training whose figures are summed up: the last ones. */
const CHECKS = 20;

/** Of a sample of values. */
const Moments = v.optional(v.object({ mean: Num, std: Num }));

const momentsOf = (values: ValueHistogram | undefined): { mean: number; std: number } | undefined =>
  values && { mean: values.mean, std: values.std };

export const layerHealth = ({ workspace }: Services): Tool =>
  tool({
    name: "get_layer_health",
    title: "Get Layer Health",
    description:
      "What each layer did in the last checks of a watched training: gradient norm, relative size of an update (about 0.001 is usual), dead units of its ReLUs, mean and spread of its weights, gradients and activations. Medians of the last checks and the newest values.",
    effect: "reads",
    input: v.strictObject({ run: RunId, offset: Offset, limit: limit(200, 50) }),
    output: v.object({
      checks: v.number(),
      lastStep: v.optional(v.number()),
      layers: v.array(
        v.object({
          layer: v.string(),
          gradNorm: v.optional(Num),
          medianGradNorm: v.optional(Num),
          updateRatio: v.optional(Num),
          medianUpdateRatio: v.optional(Num),
          deadUnits: v.optional(v.number()),
          units: v.optional(v.number()),
          meanActivation: v.optional(Num),
          weights: Moments,
          gradients: Moments,
          activations: Moments,
        }),
      ),
      ...Rest,
    }),
    async call({ run, offset, limit: most }) {
      const rows = await readLastRecords(await workspace.run(run), LAYERS_FILE, LayerRow, {
        most: CHECKS,
        names: LAYER_NAMES,
      });
      const last = rows.at(-1);
      const all = Object.entries(last?.layers ?? {}).map(([layer, newest]) => {
        const seen = (name: "gradNorm" | "updateRatio"): number[] =>
          rows.flatMap(({ layers }) => layers[layer]?.[name] ?? []);
        return {
          layer,
          ...newest,
          weights: momentsOf(newest.weights),
          gradients: momentsOf(newest.gradients),
          activations: momentsOf(newest.activations),
          medianGradNorm: medianOf(seen("gradNorm")),
          medianUpdateRatio: medianOf(seen("updateRatio")),
        };
      });
      const { items, total, next } = pageOf(all, offset, most);
      return { checks: rows.length, lastStep: last?.step, layers: items, total, next };
    },
  });

const MOST_FINDINGS = 100;

export const getFindings = ({ workspace }: Services): Tool =>
  tool({
    name: "get_findings",
    title: "Get Findings",
    description:
      "Probable mistakes that rules found in a watched training: in its data, its layers and its losses. Each has its rule and its reason. An empty list means that no rule applies, not that the model is good.",
    effect: "reads",
    input: v.strictObject({ run: RunId }),
    output: v.object({
      findings: v.array(ShownFinding),
      rules: v.record(v.string(), v.object({ rule: v.string(), reason: v.string(), fix: v.string() })),
    }),
    async call({ run }) {
      const findings = await readLastRecords(await workspace.run(run), FINDINGS_FILE, Finding, {
        most: MOST_FINDINGS,
        names: FINDING_NAMES,
      });
      // A resumed run may have found the same again.
      const known = new Map(findings.map((one) => [`${one.kind} ${one.layer}`, one]));
      const shown = [...known.values()].map((one) => shownFinding(one, workspace));
      const rules = [...new Set(shown.map(({ kind }) => kind))].map((kind) => {
        const { rule, reason, fix } = FINDING_RULES[kind];
        return [kind, { rule, reason, fix }] as const;
      });
      return { findings: shown, rules: Object.fromEntries(rules) };
    },
  });
