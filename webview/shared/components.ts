/** Components shared by several views: notices, progress bars, heads of sorted tables. */
import { html, nothing, type TemplateResult } from "lit";
import { button, icon } from "./widgets.ts";
import { strings } from "./strings.ts";
import { styles } from "./styles.ts";

/** A notice that says why the last request failed; nothing if it didn't. */
export function notice(message: string | undefined, dismiss: () => void): TemplateResult | typeof nothing {
  if (message === undefined) return nothing;
  return html`<div class="notice" role="alert">
    ${icon("warning")}<span>${message}</span>
    ${button({ label: strings.error.dismiss, icon: "close", appearance: "icon", onClick: dismiss })}
  </div>`;
}

/** A notice on a run whose process can't be seen. */
export const silentNotice = (message: string): TemplateResult =>
  html`<p class="notice" role="status">${icon("debug-disconnect")}<span>${message}</span></p>`;

export interface FoldableOptions {
  summary: TemplateResult | string;
  open: boolean;
  onToggle: (open: boolean) => void;
  /** Made only while it is open. */
  content: () => TemplateResult;
  className?: string;
}

/** Content below a line that opens and closes it. */
export function foldable(options: FoldableOptions): TemplateResult {
  const { summary, open, onToggle, content, className = "" } = options;
  const toggle = (event: Event): void => {
    const now = (event.target as HTMLDetailsElement).open;
    // The element also fires when it is set from here.
    if (now !== open) onToggle(now);
  };
  return html`<details class=${className} ?open=${open} @toggle=${toggle}>
    <summary>${summary}</summary>
    ${open ? content() : nothing}
  </details>`;
}

export interface ProgressOptions {
  label: string;
  /** 0 to 1; undefined while unknown. */
  share: number | undefined;
  /** Whether the bar is animated while the share is unknown. */
  moves?: boolean;
  /** CSS class of the completed part. */
  done?: string;
}

export function progressBar({ label, share, moves = false, done = "" }: ProgressOptions): TemplateResult {
  return html`<div
    class="progress-bar ${moves ? "progress-unknown" : ""}"
    role="progressbar"
    aria-label=${label}
    aria-valuemin="0"
    aria-valuemax="100"
    aria-valuenow=${share === undefined ? nothing : Math.round(share * 100)}
  >
    <div class="progress-done ${done}" ${styles({ width: `${100 * (share ?? 0)}%` })}></div>
  </div>`;
}

/** The head of a column by which a table can be sorted. */
export function sortHead(options: {
  label: string;
  className: string;
  /** Undefined if the table isn't sorted by this column. */
  descending: boolean | undefined;
  onClick: () => void;
}): TemplateResult {
  const { label, className, descending, onClick } = options;
  const order = descending === undefined ? nothing : descending ? "descending" : "ascending";
  const arrow = descending === undefined ? "" : descending ? "codicon-arrow-down" : "codicon-arrow-up";
  return html`<th scope="col" class=${className} aria-sort=${order}>
    <button class="sort" @click=${onClick}>
      ${label}<i class="codicon ${arrow}" aria-hidden="true"></i>
    </button>
  </th>`;
}
