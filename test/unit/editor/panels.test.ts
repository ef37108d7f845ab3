import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { pageHtml } from "../../../extension/editor/panels/page.ts";
import { Throttle } from "../../../extension/editor/panels/throttle.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test("messages leave one at a time, at most ten a second, none forgotten and none twice", () => {
  const sent: { kind: string; at: number }[] = [];
  const throttle = new Throttle<string>(100, (kind) => sent.push({ kind, at: Date.now() }));
  for (let i = 0; i < 200; i++) {
    throttle.mark("rows");
    if (i % 2 === 0) throttle.mark("progress");
    if (i === 5) throttle.mark("record");
    vi.advanceTimersByTime(10);
  }
  vi.advanceTimersByTime(1000);
  expect(sent.length).toBeLessThanOrEqual(23);
  expect(sent.length).toBeGreaterThan(18);
  for (const [i, message] of sent.entries()) {
    const before = sent[i - 1];
    if (before !== undefined) expect(message.at - before.at).toBeGreaterThanOrEqual(100);
  }
  expect(sent.filter(({ kind }) => kind === "record")).toHaveLength(1);
  // None starves another.
  expect(
    Math.abs(
      sent.filter(({ kind }) => kind === "rows").length -
        sent.filter(({ kind }) => kind === "progress").length,
    ),
  ).toBeLessThan(3);
});

test("the first message leaves at once, and what was cleared never does", () => {
  const send = vi.fn<(kind: string) => void>();
  const throttle = new Throttle<string>(100, send);
  throttle.mark("a");
  vi.advanceTimersByTime(0);
  expect(send).toHaveBeenCalledExactlyOnceWith("a");
  throttle.mark("b");
  throttle.clear();
  vi.advanceTimersByTime(1000);
  expect(send).toHaveBeenCalledTimes(1);
  throttle.mark("c");
  vi.advanceTimersByTime(1000);
  expect(send).toHaveBeenCalledTimes(2);
});

test("a page may load its own script and styles and nothing else", () => {
  const options = {
    kind: "training",
    restricted: false,
    title: 'A <b> & "c"',
    language: "en",
    nonce: "0a1b",
    source: "https://webview.test",
    script: "https://webview.test/training.js",
    styles: ["https://webview.test/training.css"],
    font: "https://webview.test/codicon.ttf",
  } as const;
  const html = pageHtml(options);
  expect(html).toContain('<body data-view="training">');
  expect(pageHtml({ ...options, restricted: true })).toContain('<body data-view="training" data-restricted>');
  expect(html).toContain(
    "default-src 'none'; script-src 'nonce-0a1b'; style-src https://webview.test 'nonce-0a1b'",
  );
  expect(html).not.toMatch(/unsafe-(?:inline|eval)/);
  expect(html).toContain("<title>A &lt;b&gt; &amp; &quot;c&quot;</title>");
  for (const script of html.matchAll(/<script[^>]*>/g)) expect(script[0]).toContain('nonce="0a1b"');
});
