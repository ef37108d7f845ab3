/** Time of an epoch, and its shares that aren't training. */
import { html, nothing, type TemplateResult } from "lit";
import { foldable } from "../shared/components.ts";
import { formatCompact, formatDuration, formatMs, formatShare } from "../shared/format.ts";
import { strings } from "../shared/strings.ts";
import { pairs } from "../shared/widgets.ts";
import type { Actions } from "./actions.ts";
import type { TrainingState } from "./state.ts";

const text = strings.training.timing;

export function timingSection(
  { run, curves, ui }: TrainingState,
  actions: Actions,
): TemplateResult | typeof nothing {
  const timing = curves.timing();
  if (run.kind !== "train" || timing === undefined) return nothing;
  const { epochs, secondsPerEpoch, speed, shares } = timing;
  const epoch = formatSeconds(secondsPerEpoch);
  const figures: [name: string, value: string][] = [
    [text.epoch, epoch],
    [text.speed[speed.unit], formatCompact(Number(speed.value.toPrecision(3)))],
  ];
  // A run without validation or checkpoints needs no figure for them.
  if (shares && shares.validation > 0) figures.push([text.validation, formatShare(shares.validation)]);
  if (shares && shares.checkpoints > 0) figures.push([text.checkpoints, formatShare(shares.checkpoints)]);
  return html`<section class="section section-timing" aria-labelledby="timing-title">
    ${foldable({
      summary: html`<h2 id="timing-title">${text.title}</h2>
        <span class="secondary">${text.perEpoch(epoch)}</span>`,
      open: ui.timingOpen,
      onToggle: (timingOpen) => actions.setUi({ timingOpen }),
      content: () =>
        html`${pairs("figures", figures)}
          <p class="secondary">${text.mean(epochs)} ${shares ? text.training : nothing}</p>`,
    })}
  </section>`;
}

const formatSeconds = (seconds: number): string =>
  seconds < 0.9995 ? formatMs(1000 * seconds) : formatDuration(seconds);
