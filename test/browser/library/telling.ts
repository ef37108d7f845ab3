/** Announcements of a page: texts for screen readers, and sounds, without a screen reader or a device for sounds. */
import type { Frame, Page } from "playwright-core";

type Noting = typeof globalThis & { told?: string[]; sounds?: (number | "context")[] };

/**
 * Runs in the page: notes each text of a live region, each context of Web Audio that is made, and each tone's frequency.
 * @param allowed Whether the browser lets contexts start; without a device, it may or may not
 */
function note(allowed: boolean): void {
  const told: string[] = ((globalThis as Noting).told = []);
  const sounds: (number | "context")[] = ((globalThis as Noting).sounds = []);
  new MutationObserver((changes) => {
    for (const { target } of changes)
      if (target instanceof Element && target.matches(".visually-hidden[role=status]"))
        told.push(target.textContent ?? "");
  }).observe(document, { subtree: true, childList: true });
  globalThis.AudioContext = new Proxy(AudioContext, {
    construct(target, args: [AudioContextOptions?]) {
      sounds.push("context");
      return Object.assign(new target(...args), {
        resume: () => new Promise<void>((resolve) => (allowed ? resolve() : undefined)),
      });
    },
  });
  globalThis.OscillatorNode = new Proxy(OscillatorNode, {
    construct(target, [context, options]: [BaseAudioContext, OscillatorOptions]) {
      sounds.push(options.frequency ?? 0);
      return new target(context, options);
    },
  });
}

export const noteFromNowOn = (page: Frame | Page, allowed = true): Promise<void> =>
  page.evaluate(note, allowed);

export const toldBy = (page: Frame | Page): Promise<string[]> =>
  page.evaluate(() => (globalThis as Noting).told!);

export const soundsOf = (page: Frame | Page): Promise<(number | "context")[]> =>
  page.evaluate(() => (globalThis as Noting).sounds!);
