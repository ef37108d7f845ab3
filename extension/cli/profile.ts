import { InvalidArgumentError, Option, type Command } from "commander";
import * as v from "valibot";
import { plainLine } from "../protocol/text/plain.ts";
import { gflops, Profile, type Pass } from "../protocol/profile.ts";
import {
  action,
  commonOptions,
  examples,
  existingFile,
  parseTarget,
  targetDescription,
  type CommonOptions,
} from "./command.ts";
import { print, printJson } from "./output.ts";
import { shortPath, table } from "./render.ts";
import { withTool } from "./tool.ts";

const ORDERS = ["model", "time"] as const;

interface ProfileOptions extends CommonOptions {
  checkpoint?: string;
  seconds: number;
  sort: (typeof ORDERS)[number];
  ops: boolean;
  explain?: true;
}

export function register(program: Command): void {
  const command = program
    .command("profile")
    .description("measure a training step: time, GFLOP/s and memory of each layer, forward and backward")
    .argument("<file>", targetDescription)
    .option("--seconds <number>", "time for each of the two measurements", positiveNumber, 2)
    .addOption(new Option("--sort <order>", "of the layers").choices(ORDERS).default("model"))
    .option("--no-ops", "without the table of ops")
    .option("--explain", "print what the engine chose for this model and why")
    .option("--checkpoint <file>", "weights to start from, a .safetensors file");
  commonOptions(command, ["seed", "device", "json"]);
  examples(
    command,
    `
The step is repeated on one batch, and nothing is saved. It is measured twice: compiled, as a training runs it, and op by op,
as the table shows it. A compiled step fuses ops, so single layers can't be timed in it.

Examples:
  layerwise profile digits.nn.ts
  layerwise profile digits.nn.ts#small --sort time --explain
  layerwise profile digits.nn.ts --device wasm
  layerwise profile digits.nn.ts --json | jq '.layers[] | [.path, .forward.ms, .backward.ms]'`,
  ).action(action(profile));
}

async function profile(argument: string, options: ProfileOptions): Promise<number> {
  const { file, exportName } = parseTarget(argument);
  const { device, seed, checkpoint, seconds } = options;
  const answer = await withTool((tool) =>
    tool.profile({
      file,
      exportName: exportName ?? "default",
      device,
      seconds,
      ...(seed === undefined ? {} : { seed }),
      ...(checkpoint === undefined ? {} : { checkpoint: existingFile(checkpoint) }),
    }),
  );
  const result = v.parse(Profile, answer);
  if (options.json === true) printJson(result);
  else print(profileLines(result, options).join("\n"));
  return 0;
}

/** Most rows of the table of ops; the rest are summed up. */
const MAX_OPS = 12;

/** Most graphs of a training whose shapes don't change: a last batch may be smaller, gradients are kept at first. */
const FEW_GRAPHS = 4;

/** Describes a profile in words and tables. */
export function profileLines(
  profile: Profile,
  { sort, ops, explain }: Pick<ProfileOptions, "sort" | "ops" | "explain">,
): string[] {
  const { model, file, engine, cpu, batch, update, opByOpMs, compiledMs, choices, fallbacks } = profile;
  const share = (ms: number): string => (opByOpMs > 0 ? `${((100 * ms) / opByOpMs).toFixed(1)} %` : "–");
  const layers = sort === "model" ? profile.layers : profile.layers.toSorted((a, b) => timeOf(b) - timeOf(a));
  const rows = layers.map((layer) => [
    layer.path === "" ? "(outside layers)" : layer.path,
    layer.path === "" ? "" : layer.className,
    ...[layer.forward, layer.backward].map(time),
    ms(timeOf(layer)),
    share(timeOf(layer)),
    ...[layer.forward, layer.backward].map(speed),
    bytes(layer.activationBytes),
    bytes(layer.gradientBytes),
  ]);
  const sum = (of: (layer: Profile["layers"][number]) => number): number =>
    layers.reduce((total, layer) => total + of(layer), 0);
  const activations = bytes(sum((layer) => layer.activationBytes));
  const gradients = bytes(sum((layer) => layer.gradientBytes));
  const forward = sum((layer) => layer.forward.ms);
  const backward = sum((layer) => layer.backward.ms);
  const header = ["layer", "type", "forward ms", "backward ms", "both", "share", "GFLOP/s", "backward"];
  const right = [false, false, ...Array<boolean>(8).fill(true)];
  const lines = [
    `${plainLine(`${model} (${shortPath(file)})`)}, a batch of ${batch}, on ${engine}${cpu === "" ? "" : `, ${cpu}`}`,
    "",
    ...table(
      [
        [...header, "activations", "gradients"],
        ...rows,
        ["(optimizer)", "", "", "", ms(update.ms), share(update.ms)],
        [
          "op by op",
          "",
          ms(forward),
          ms(backward),
          ms(opByOpMs),
          share(opByOpMs),
          "",
          "",
          activations,
          gradients,
        ],
      ],
      right,
    ),
  ];
  if (ops) lines.push("", ...opLines(profile, share));
  lines.push("", ...stepLines(profile));
  lines.push(
    ...(fallbacks.length > 0
      ? fallbacks.map((text) => `Fell back: ${text}`)
      : compiledMs === undefined
        ? []
        : ["Nothing fell back: all of the step is compiled."]),
  );
  if (explain === true)
    lines.push(
      "",
      ...table(
        choices.map(({ graph, about, chosen, why }) => [
          graph === "" ? "process" : graph,
          about,
          chosen,
          why,
        ]),
      ),
    );
  return lines;
}

function opLines({ ops }: Profile, share: (ms: number) => string): string[] {
  const rows = ops
    .slice(0, MAX_OPS)
    .map((op) => [op.name, op.phase, String(op.ops), time(op), share(op.ms), speed(op)]);
  const rest = ops.slice(MAX_OPS);
  const others = rest.reduce((sum, { ms: one }) => sum + one, 0);
  const count = rest.reduce((sum, op) => sum + op.ops, 0);
  if (rest.length > 0) rows.push([`${rest.length} others`, "", String(count), ms(others), share(others), ""]);
  return table(
    [["op", "", "calls", "ms", "share", "GFLOP/s"], ...rows],
    [false, false, true, true, true, true],
  );
}

function stepLines({
  opByOpMs,
  compiledMs,
  steps,
  limitGflops,
  peakBytes,
  layers,
  choices,
}: Profile): string[] {
  const adds = layers.reduce(
    (sum, { forward, backward }) => sum + forward.multiplyAdds + backward.multiplyAdds,
    0,
  );
  const reached = (of: number): string =>
    adds === 0 || of === 0 ? "" : `, ${speed({ ms: of, ops: 0, multiplyAdds: adds })} GFLOP/s`;
  const graphs = choices.filter(({ about, graph }) => about === "graph" && graph.startsWith("training"));
  const many = graphs.length > FEW_GRAPHS ? `, ${graphs.length} different graphs: its sizes change` : "";
  const trained = (whole: number): string =>
    `As trained      ${ms(whole)} ms a step${reached(whole)}: compiled${many}, ${comparison(opByOpMs / whole)}; its recording included`;
  return [
    `Op by op        ${ms(opByOpMs)} ms a step${reached(opByOpMs)} (medians of ${steps} steps)`,
    ...(compiledMs === undefined ? [] : [trained(compiledMs)]),
    `Matrix product  ${limitGflops.toFixed(0)} GFLOP/s: a large one by itself, run like the ops of the table`,
    `Memory          ${bytes(peakBytes)} of values at most at one time, op by op, without weights and optimizer state`,
  ];
}

const comparison = (factor: number): string =>
  factor < 1 ? "no faster than op by op" : `${factor.toFixed(1)} times as fast`;

const timeOf = ({ forward, backward }: Profile["layers"][number]): number => forward.ms + backward.ms;
const ms = (value: number): string =>
  value < 0.0995 ? value.toFixed(4) : value < 9.95 ? value.toFixed(3) : value.toFixed(1);
const time = (pass: Pass): string => (pass.ops === 0 ? "" : ms(pass.ms));
const speed = (pass: Pass): string => {
  const value = gflops(pass);
  return value === undefined ? "" : value < 9.95 ? value.toFixed(1) : value.toFixed(0);
};

function bytes(count: number): string {
  if (count === 0) return "";
  const units = ["B", "kB", "MB", "GB"];
  let value = count;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${value < 9.95 && unit > 0 ? value.toFixed(1) : value.toFixed(0)} ${units[unit]}`;
}

function positiveNumber(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !(value > 0) || value > 600)
    throw new InvalidArgumentError("Not a number above 0.");
  return value;
}
