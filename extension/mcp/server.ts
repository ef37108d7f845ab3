import { readFileSync } from "node:fs";
import { McpServer } from "@modelcontextprotocol/server";
import { ANSWER_LIMIT, NOTICE, TEXT_LIMIT } from "./answers.ts";
import { registerGuides } from "./guides.ts";
import type { Services } from "./services.ts";
import { register, type Tool } from "./tool.ts";
import { ablateUnits } from "./tools/ablation.ts";
import { compareRuns, getFindings, layerHealth, summarizeCurves } from "./tools/analysis.ts";
import { evaluate, getEvaluation } from "./tools/evaluation.ts";
import { checkFile, listModels } from "./tools/files.ts";
import { importRunsTool } from "./tools/imports.ts";
import { describeData, exportTrained, findLearningRate } from "./tools/model.ts";
import {
  getSweep,
  listSweepsTool,
  resumeSweep,
  startSweep,
  stopSweep,
  waitForSweep,
} from "./tools/sweeps.ts";
import { getRun, listRunsTool, readLog, resume, stopRun, train, waitForRun } from "./tools/training.ts";

/** In the order of work. */
const TOOLS: readonly ((services: Services) => Tool)[] = [
  listModels,
  checkFile,
  describeData,
  findLearningRate,
  train,
  waitForRun,
  getRun,
  stopRun,
  resume,
  listRunsTool,
  importRunsTool,
  getFindings,
  summarizeCurves,
  layerHealth,
  compareRuns,
  startSweep,
  waitForSweep,
  getSweep,
  stopSweep,
  resumeSweep,
  listSweepsTool,
  evaluate,
  getEvaluation,
  ablateUnits,
  readLog,
  exportTrained,
];

export const toolsFor = (services: Services): Tool[] => TOOLS.map((make) => make(services));

const INSTRUCTIONS = `Layerwise develops neural networks in TypeScript: models are .nn.ts files of one workspace folder. Read layerwise://guide before you write one.
Usual order: list_models, check_file, describe_data, train, wait_for_run, get_findings, summarize_curves, evaluate, get_evaluation; start_sweep where an experiment declares a sweep.
Paths are relative to the workspace folder; nothing outside of it is read, written or run. An answer has at most ${ANSWER_LIMIT} bytes and a text in it ${TEXT_LIMIT} characters; where a list is cut, "total" says how many there are and "next" is the offset of the rest.
${NOTICE}`;

/** A server for one client. */
export function createServer(services: Services): McpServer {
  const { version } = JSON.parse(
    readFileSync(
      new URL(import.meta.url.endsWith(".ts") ? "../../package.json" : "../package.json", import.meta.url),
      "utf8",
    ),
  ) as { version: string };
  const server = new McpServer(
    { name: "layerwise", title: "Layerwise", version },
    { instructions: INSTRUCTIONS, capabilities: { tools: {}, resources: {}, prompts: {} } },
  );
  for (const one of toolsFor(services)) register(server, one);
  registerGuides(server);
  return server;
}
