/** A webview as VS Code makes it, in a plain page: content security policy, theme, `acquireVsCodeApi`, JSON messages. */
import { once } from "node:events";
import fs from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { setTimeout } from "node:timers/promises";
import { createBirpc } from "birpc";
import type { Browser, Locator, Page } from "playwright-core";
import { pageHtml } from "../../../extension/editor/panels/page.ts";
import { toUserError } from "../../../extension/protocol/errors.ts";
import type { ViewKind } from "../../../extension/protocol/views.ts";
import { codiconFont, codiconStyles } from "../../../scripts/codicons.mjs";
import { inRoot } from "../../../scripts/project.mjs";
import { QUICK, until } from "../../harness.ts";
import { patience } from "../../patience.ts";
import { launchBrowser } from "../library/browser.ts";

export type ThemeName = "light" | "dark" | "hc" | "hc-light";

interface Theme {
  name: string;
  kind: string;
  bodyClass: string;
  variables: Record<string, string>;
}

const LOOK_UPS = new Set([
  "ready",
  "runs",
  "rowsOf",
  "historyOf",
  "layers",
  "layerValues",
  "layerPictures",
  "pictures",
]);
const NONCE = "b3BlbiBzZXNhbWU";
const require = createRequire(import.meta.url);

/** Of `<view>.js` and `<view>.css`. */
const BUNDLES = process.env["LAYERWISE_PANELS"] ?? "";

/**
 * Milliseconds by which answers of the host are late at most, each by another time: finds tests, and views, that count on quick
 * answers, or on their order.
 */
const LATE = Number(process.env["LAYERWISE_TEST_LATE"] ?? 0);

let browser: Browser | undefined;
/** Pages by their fixed properties. They are kept, so that panels share loaded and compiled code. */
const pages = new Map<string, Page>();
let currentPage: Page | undefined;
/** Receives the messages of the panel in the current page. */
let receive: (message: unknown) => void = () => undefined;
let errors: string[] = [];
/** Saved state of the view that is opened next. */
let saved: object | undefined;
let server: http.Server | undefined;
let origin: string;

async function openBrowser(): Promise<Browser> {
  fs.mkdirSync(inRoot("test/results/screenshots"), { recursive: true });
  server = http.createServer(serve).listen(0, "127.0.0.1");
  await once(server, "listening");
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return launchBrowser();
}

export async function closeBrowser(): Promise<void> {
  await browser?.close();
  server?.close();
}

/** The page of a view and what it loads. */
function serve({ url = "" }: http.IncomingMessage, response: http.ServerResponse): void {
  const { pathname, searchParams } = new URL(url, origin);
  const [kind, named] = [searchParams.get("view"), searchParams.get("theme")];
  if (pathname === "/" && kind !== null && named !== null)
    return void response
      .writeHead(200, { "content-type": "text/html" })
      .end(document(kind as ViewKind, theme(named as ThemeName), searchParams));
  try {
    const data = served(pathname.slice(1));
    const type = TYPES[path.extname(pathname)] ?? "application/octet-stream";
    response.writeHead(200, { "content-type": type, "cache-control": "max-age=3600" }).end(data);
  } catch {
    // Such as the icon that a browser requests.
    response.writeHead(204).end();
  }
}

const TYPES: Record<string, string> = { ".css": "text/css", ".js": "text/javascript", ".ttf": "font/ttf" };

export const fixture = (...segments: string[]): string => inRoot("test/fixtures/panels", ...segments);

export const readFixture = (...segments: string[]): unknown =>
  JSON.parse(fs.readFileSync(fixture(...segments), "utf8"));

export const theme = (name: ThemeName): Theme => readFixture("themes", `${name}.json`) as Theme;

/** A page-sized picture to look at, which `npm test` doesn't take. */
export async function screenshotPage(name: string): Promise<void> {
  if (!QUICK) await keepScreenshot(name);
}

/** A page-sized picture in test/results/screenshots/. */
export async function keepScreenshot(name: string): Promise<void> {
  const file = inRoot("test/results/screenshots", `${name}.png`);
  await currentPage?.screenshot({ path: file, fullPage: true });
}

export interface Call {
  method: string;
  args: unknown[];
}

export interface Panel<View extends object> {
  page: Page;
  /** The view's methods; each resolves when the view has handled the call. */
  view: ReturnType<typeof createBirpc<View, object>>;
  /** The view's calls of the host, without its own look-ups. */
  calls: Call[];
  /** Content security violations, errors and warnings of the page so far. */
  complaints(): Promise<string[]>;
  /** As after hiding and showing: the script restarts, only its saved state survives. */
  reopen(): Promise<void>;
  setTheme(name: ThemeName): Promise<void>;
}

export interface PanelOptions<Host extends object> {
  view: ViewKind;
  /** Methods of the host; those left out answer nothing. */
  host: Partial<Host>;
  theme?: ThemeName;
  width?: number;
  height?: number;
  /** Device pixels per CSS pixel. */
  scale?: number;
  /** Default true: pictures and clicks don't wait for animations. */
  reducedMotion?: boolean;
  /** The view's saved state. */
  state?: object;
  /** Whether the workspace is not trusted. */
  restricted?: boolean;
  /** Wait for the first snapshot to be drawn. Default true. */
  waitReady?: boolean;
}

async function pageFor(scale: number, reducedMotion: boolean): Promise<Page> {
  const key = `${scale} ${reducedMotion}`;
  const known = pages.get(key);
  if (known !== undefined) return known;
  browser ??= await openBrowser();
  const page = await browser.newPage({
    deviceScaleFactor: scale,
    reducedMotion: reducedMotion ? "reduce" : "no-preference",
  });
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) errors.push(message.text());
  });
  await page.exposeFunction("toHost", (json: string) => receive(JSON.parse(json)));
  pages.set(key, page);
  return page;
}

/** Opens a panel in place of the one before it. */
export async function openPanel<Host extends object, View extends object>(
  options: PanelOptions<Host>,
): Promise<Panel<View>> {
  receive = () => undefined;
  await currentPage?.goto("about:blank");
  const { view: kind, theme: themeName = "dark", width = 1100, height = 900, scale = 1 } = options;
  const page = (currentPage = await pageFor(scale, options.reducedMotion ?? true));
  await page.setViewportSize({ width, height });
  await page.mouse.move(0, 0);
  errors = [];
  const calls: Call[] = [];
  const post = (message: unknown): Promise<void> =>
    page.evaluate((json) => window.postMessage(JSON.parse(json), "*"), JSON.stringify(message));
  const methods = options.host as Record<string, (...args: unknown[]) => unknown>;
  const view = createBirpc<View, object>(
    {},
    {
      post,
      on: (listener) => (receive = listener),
      // As the host does: an Error is `{}` in JSON.
      serialize: (message: { e?: unknown }) =>
        message.e === undefined ? message : { ...message, e: toUserError(message.e) },
      timeout: patience(20_000),
      resolver:
        (method) =>
        async (...args: unknown[]) => {
          if (LATE > 0) await setTimeout(Math.random() * LATE);
          if (!LOOK_UPS.has(method)) calls.push({ method, args });
          return methods[method]?.(...args);
        },
    },
  );

  saved = options.state;
  const open = async (again = ""): Promise<void> => {
    const restricted = options.restricted === true ? "&restricted" : "";
    await page.goto(`${origin}/?view=${kind}&theme=${themeName}${restricted}${again}`);
    if (options.waitReady ?? true)
      await page.waitForSelector("body[data-ready='1']", { timeout: patience(10_000) });
  };
  await open();
  return {
    page,
    view,
    calls,
    complaints: async () => [
      ...errors,
      ...(await page.evaluate(() => (globalThis as { violations?: string[] }).violations ?? [])),
    ],
    reopen: () => open("&again"),
    setTheme: async (name) => {
      await page.evaluate(applyTheme, theme(name));
      // Canvases are redrawn a frame later.
      await drawn(page);
    },
  };
}

/** Waits until requested changes are drawn. */
export const drawn = (page: Page): Promise<unknown> =>
  page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));

/**
 * Pixels of the visible canvases, to compare: read once something is drawn on each and a frame changes nothing
 * any more, as their values may come after them.
 */
export async function pixels(canvases: Locator): Promise<string[]> {
  let before: string | undefined;
  let read: string[] = [];
  await until("drawn canvases", async () => {
    read = await canvases.evaluateAll(async (all) => {
      await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
      return (all as HTMLCanvasElement[])
        .filter((canvas) => canvas.checkVisibility())
        .map((canvas) => {
          const blank = globalThis.document.createElement("canvas");
          [blank.width, blank.height] = [canvas.width, canvas.height];
          const shown = canvas.toDataURL();
          return shown === blank.toDataURL() ? "" : shown;
        });
    });
    const [last, now] = [before, read.join()];
    before = now;
    return read.length > 0 && !read.includes("") && now === last;
  });
  return read;
}

/** Waits until the view has called the host's `method`; returns the arguments. */
export const called = async (panel: { calls: Call[] }, method: string): Promise<unknown[]> =>
  (await until(`a call of ${method}`, () => panel.calls.find((call) => call.method === method))).args;

/** Runs in the page, as VS Code's own script does. */
function applyTheme({ name, kind, bodyClass, variables }: Theme): void {
  globalThis.document.documentElement.removeAttribute("style");
  const { style } = globalThis.document.documentElement;
  for (const [variable, value] of Object.entries(variables)) style.setProperty(variable, value);
  const { body } = globalThis.document;
  body.className = bodyClass;
  body.dataset["vscodeThemeKind"] = kind;
  body.dataset["vscodeThemeId"] = name;
}

/** The host's own page, with what VS Code adds to it: its style sheet, the theme and the API. */
function document(kind: ViewKind, theme: Theme, options: URLSearchParams): string {
  const again = options.has("again");
  const page = pageHtml({
    kind,
    restricted: options.has("restricted"),
    title: "Layerwise",
    language: "en",
    nonce: NONCE,
    source: origin,
    script: `${kind}.js`,
    styles: ["codicon.css", `${kind}.css`],
    font: "codicon.ttf",
  });
  const script = (code: string): string => `<script nonce="${NONCE}">${code}</script>`;
  const api = `(${provideApi.toString()})()`;
  // As in a new panel, or in one that VS Code has kept.
  const before =
    saved === undefined ? "clear()" : `setItem("state", ${JSON.stringify(JSON.stringify(saved))})`;
  return page
    .replace(
      "<title>",
      `<link rel="stylesheet" href="vscode-webview.css">${script(again ? api : `sessionStorage.${before};${api}`)}<title>`,
    )
    .replace(/<body[^>]*>/, `$&${script(`(${applyTheme.toString()})(${JSON.stringify(theme)})`)}`);
}

/** Runs in the page. */
function provideApi(): void {
  const global = globalThis as unknown as {
    violations: string[];
    toHost: (json: string) => Promise<void>;
    acquireVsCodeApi?: () => object;
  };
  global.violations = [];
  addEventListener("securitypolicyviolation", (event) =>
    global.violations.push(`content security policy: ${event.violatedDirective} ${event.blockedURI}`),
  );
  global.acquireVsCodeApi = () => {
    delete global.acquireVsCodeApi;
    return Object.freeze({
      postMessage: (message: unknown) => void global.toHost(JSON.stringify(message)),
      getState: (): unknown => JSON.parse(sessionStorage.getItem("state") ?? "null") ?? undefined,
      setState: (state: unknown) => sessionStorage.setItem("state", JSON.stringify(state)),
    });
  };
}

function served(name: string): string | Uint8Array {
  if (name === "codicon.css") return codiconStyles();
  return fs.readFileSync(servedFile(name));
}

function servedFile(name: string): string {
  if (name === "vscode-webview.css") return fixture(name);
  if (name === "codicon.ttf") return codiconFont;
  if (name === "elk-worker.min.js") return require.resolve(`elkjs/lib/${name}`);
  return path.join(BUNDLES, name);
}
