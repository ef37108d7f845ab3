/** The top of the panel: the run, its state, and the possible actions. */
import { modelName } from "../../extension/protocol/runs/title.ts";
import { html, nothing, type TemplateResult } from "lit";
import { secondsLeft } from "../../extension/protocol/runs/duration.ts";
import { FOREIGN_TOOL_NAMES } from "../../extension/protocol/history/foreignRun.ts";

import { baseName, formatBytes, formatCompact, formatCount, formatDuration } from "../shared/format.ts";
import { button, icon, linkButton, pairs } from "../shared/widgets.ts";
import { progressBar } from "../shared/components.ts";
import { placeOf, unfollowed } from "../shared/place.ts";
import { strings } from "../shared/strings.ts";
import type { Actions } from "./actions.ts";
import {
  type ActionName,
  doneShare,
  elapsed,
  progressAge,
  resumable,
  stateBadge,
  steerable,
  type TrainingState,
  waits,
} from "./state.ts";

const text = strings.training;

export function header(state: TrainingState, actions: Actions): TemplateResult {
  const { run } = state;
  const badge = stateBadge(state);
  return html`<header class="header">
    <div class="title-row">
      <h1>${modelName(run) || run.exportName}</h1>
      <span class="badge badge-${badge.kind}" data-state=${waits(state) ? "waiting" : run.state}
        >${icon(badge.icon)}${badge.text}</span
      >
      ${buttons(state, actions)}
    </div>
    <ul class="facts">
      ${
        run.imported
          ? html`<li title=${run.imported.path}>
              ${text.importedFrom(FOREIGN_TOOL_NAMES[run.imported.tool])}
            </li>`
          : html`<li>${linkButton(baseName(run.file), () => actions.openSource(run.file), run.file)}</li>`
      }
      <li title=${text.exportName}>${run.exportName}</li>
      <li title=${text.runId}>${run.id}</li>
      ${
        run.executor
          ? html`<li title=${run.executor.reason ?? nothing}>
              ${run.executor.version}${run.executor.reason ? icon("info", "fact-info") : nothing}
              ${run.executor.reason ? html`<span class="visually-hidden">${run.executor.reason}</span>` : nothing}
            </li>`
          : nothing
      }
      ${run.on ? html`<li>${placeOf(state)}</li>` : nothing}
      ${run.parameters ? html`<li>${text.parameters(run.parameters.total)}</li>` : nothing}
    </ul>
    ${waits(state) ? turn(state, actions) : progressView(state)}
  </header>`;
}

/** The runs that a waiting one depends on. */
function turn({ waitsFor }: TrainingState, actions: Actions): TemplateResult {
  return html`<ul class="facts">
    ${waitsFor.map(
      (id, index) =>
        html`<li>${index === 0 ? text.waitsFor : nothing} ${linkButton(id, () => actions.openRun(id))}</li>`,
    )}
  </ul>`;
}

const ICONS: Record<ActionName, string> = {
  pause: "debug-pause",
  resume: "debug-continue",
  step: "debug-step-over",
  stop: "debug-stop",
  checkpoint: "save",
  evaluate: "beaker",
  resumeRun: "debug-continue",
  rollBack: "discard",
  attachRun: "plug",
  trainAgain: "debug-rerun",
  showLog: "output",
};

/** Returns the actions that this state allows, in the order of the buttons; `primary` is the likely next step. */
function available(state: TrainingState): {
  names: ActionName[];
  primary?: ActionName;
} {
  const { run, live } = state;
  if (run.imported) return { names: [] };
  if (waits(state)) return { names: ["stop", "showLog"] };
  const training = run.kind === "train";
  if (live && run.state === "paused")
    return { names: ["resume", "step", "stop", "checkpoint", "showLog"], primary: "resume" };
  if (live && (run.state === "running" || run.state === "starting"))
    return { names: steerable(run) ? ["pause", "stop", "checkpoint", "showLog"] : ["stop", "showLog"] };
  if (unfollowed(state)) return { names: ["attachRun", "showLog"], primary: "attachRun" };
  // The same steps would give the same values again.
  if (resumable(run) && run.error?.code === "non-finite")
    return { names: ["rollBack", "resumeRun", "trainAgain", "evaluate", "showLog"], primary: "rollBack" };
  if (resumable(run))
    return { names: ["resumeRun", "trainAgain", "evaluate", "showLog"], primary: "resumeRun" };
  if (training) return { names: ["trainAgain", "evaluate", "showLog"], primary: "trainAgain" };
  return { names: ["evaluate", "showLog"], primary: "evaluate" };
}

function buttons(state: TrainingState, actions: Actions): TemplateResult {
  const { names, primary } = available(state);
  if (names.length === 0) return html``;
  const working: Partial<Record<ActionName, string>> = text.working;
  return html`<div
    class="buttons"
    role="toolbar"
    aria-label=${text.title(modelName(state.run) || state.run.exportName)}
  >
    ${names.map((name) => {
      const pending = state.pending.has(name);
      const label = waits(state) && name === "stop" ? text.cancel : text.actions[name];
      return button({
        label: (pending ? working[name] : undefined) ?? label,
        icon: ICONS[name],
        appearance: name === primary ? "primary" : "secondary",
        needsTrust: name !== "showLog",
        disabled: pending || (state.run.state === "starting" && (name === "pause" || name === "checkpoint")),
        onClick: () => actions.run(name),
      });
    })}
  </div>`;
}

function progressView(state: TrainingState): TemplateResult {
  const { run, live, progress } = state;
  const share = doneShare(state);
  const facts: [name: string, value: string][] = [];
  // Other tools don't record the number of planned epochs.
  if (run.kind === "train" && !run.imported) {
    const epoch = live && progress ? progress.epoch : run.epoch;
    facts.push([text.progress.epoch, text.progress.of(epoch, progress?.epochs ?? run.epochs)]);
  }
  if (live && progress && progress.stepsPerEpoch > 0)
    facts.push([text.progress.step, text.progress.of(progress.stepInEpoch, progress.stepsPerEpoch)]);
  else if (run.step > 0) facts.push([text.progress.step, run.step.toLocaleString("en-US")]);
  if (live && progress && run.state === "running")
    facts.push([text.progress.samplesPerSecond, formatCompact(Math.round(progress.samplesPerSecond))]);
  // Two clocks may disagree (a remote window): durations come from the run's own.
  const seconds = elapsed(state);
  if (seconds > 0) facts.push([text.progress.elapsed, formatDuration(seconds)]);
  const left =
    live && progress && run.state === "running" ? secondsLeft(progress, progressAge(state)) : undefined;
  if (left !== undefined) facts.push([text.progress.eta, formatDuration(left)]);
  if (live && progress?.memory) facts.push([text.progress.memory, formatBytes(progress.memory)]);
  if (live && progress?.tensors !== undefined)
    facts.push([text.progress.tensors, formatCount(progress.tensors)]);
  if (live && progress?.processor !== undefined && run.state === "running")
    facts.push([text.progress.processor, text.progress.cores(progress.processor)]);
  return html`<div class="progress">
    ${
      run.imported
        ? nothing
        : progressBar({
            label: text.progress.label,
            share,
            moves: live && run.state === "starting",
            done: `progress-${run.state}`,
          })
    }
    ${pairs("progress-facts", facts)}
  </div>`;
}
