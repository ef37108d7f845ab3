/** A training panel, and its elements. */
import type {
  TrainingHostMethods,
  TrainingSnapshot,
  TrainingViewMethods,
} from "../../../extension/protocol/views.ts";
import { openPanel, pixels, type Panel, type PanelOptions } from "./page.ts";

export type TrainingPanel = Panel<TrainingViewMethods>;

export function open(
  snapshot: TrainingSnapshot,
  options: Partial<PanelOptions<TrainingHostMethods>> = {},
): Promise<TrainingPanel> {
  return openPanel<TrainingHostMethods, TrainingViewMethods>({
    view: "training",
    ...options,
    host: { ready: () => Promise.resolve(snapshot), ...options.host },
  });
}

export const press = (panel: TrainingPanel, name: string): Promise<void> =>
  panel.page.locator(`vscode-button[aria-label="${name}"]`).first().click();

export const chart = (panel: TrainingPanel, name: string) =>
  panel.page.locator("figure.chart", { has: panel.page.getByRole("heading", { name, exact: true }) });

/** The drawing of a chart, to compare. */
export const picture = async (panel: TrainingPanel, name: string): Promise<string> =>
  (await pixels(chart(panel, name).locator("canvas"))).join();

export const text = async (panel: TrainingPanel, selector: string): Promise<string> =>
  (await panel.page.locator(selector).first().innerText()).replaceAll(/\s+/g, " ");
