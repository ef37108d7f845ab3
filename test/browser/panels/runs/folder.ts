/** The training panel with a folder of several runs. */
import type { MetricRow, LabelChanges } from "../../../../extension/protocol/run.ts";
import type {
  ListedRun,
  TrainingHostMethods,
  TrainingSnapshot,
  TrainingViewMethods,
} from "../../../../extension/protocol/views.ts";
import { openPanel, type Panel, type PanelOptions } from "../page.ts";
import { ended, recording } from "../recordings.ts";

export type TrainingPanel = Panel<TrainingViewMethods>;

export const press = (panel: TrainingPanel, name: string): Promise<void> =>
  panel.page.locator(`vscode-button[aria-label="${name}"]`).first().click();

export const names = (panel: TrainingPanel): Promise<string[]> =>
  panel.page.locator(".runs-table tbody th :is(b, .link)").allInnerTexts();

/** A folder of runs: the recorded one, and others that are worse the older they are. */
export class Folder {
  readonly runs: ListedRun[];
  readonly lookedAt: string[] = [];

  constructor(current: TrainingSnapshot, others: number) {
    const labels = { name: "", tags: [], archived: false };
    const make = (index: number): ListedRun => {
      const { run } = ended("finished", {
        id: `20260130-1${index}0000-digits`,
        createdAt: `2026-01-30T1${index}:00:00.000Z`,
        metrics: { loss: 0.5 - index / 20, val_loss: 0.6 - index / 20, accuracy: 0.8 + index / 100 },
      });
      return { run, labels, live: false };
    };
    this.runs = [
      { run: current.run, labels, live: current.live },
      ...Array.from({ length: others }, (_none, i) => make(others - 1 - i)),
    ];
  }

  /** The methods of the table of runs. */
  get host(): Partial<TrainingHostMethods> {
    return {
      runs: () => Promise.resolve(this.runs),
      rowsOf: (id) => {
        this.lookedAt.push(id);
        return Promise.resolve(this.rows(id));
      },
      label: (id, labels) => {
        this.label(id, labels);
        return Promise.resolve();
      },
      deleteRun: (id) => {
        this.runs.splice(
          this.runs.findIndex(({ run }) => run.id === id),
          1,
        );
        return Promise.resolve();
      },
    };
  }

  label(id: string, labels: LabelChanges): void {
    const at = this.runs.findIndex(({ run }) => run.id === id);
    const one = this.runs[at]!;
    this.runs[at] = { ...one, labels: { ...one.labels, ...labels } };
  }

  rows(id: string): MetricRow[] {
    const worse = 1 + this.runs.findIndex(({ run }) => run.id === id) / 8;
    return recording().rows.map((row) => ({
      ...row,
      values: Object.fromEntries(
        Object.entries(row.values).map(([name, value]) => [
          name,
          name.includes("loss") ? value * worse : value / worse,
        ]),
      ),
    }));
  }
}

export function open(
  snapshot: TrainingSnapshot,
  folder: Folder,
  options: Partial<PanelOptions<TrainingHostMethods>> = {},
): Promise<TrainingPanel> {
  return openPanel<TrainingHostMethods, TrainingViewMethods>({
    view: "training",
    ...options,
    host: { ready: () => Promise.resolve(snapshot), ...folder.host, ...options.host },
  });
}
