/** Requests for the token of a Ray cluster, and its storage. */
import { expect, test, vi } from "vitest";
import { FakeRay } from "../../fakeRay.ts";
import { around } from "../../folders.ts";

/** The user's inputs, in order; undefined cancels. */
const user = vi.hoisted(() => ({ enters: [] as (string | undefined)[], asked: [] as object[] }));

vi.mock("vscode", () => ({
  l10n: {
    t: (text: string, ...values: string[]) => text.replaceAll(/\{(\d)\}/g, (_, i) => values[Number(i)] ?? ""),
  },
  ProgressLocation: { Notification: 15 },
  window: {
    showInputBox: (options: object): Promise<string | undefined> => {
      user.asked.push(options);
      return Promise.resolve(user.enters.shift());
    },
    withProgress: (
      _: object,
      task: (progress: object, token: object) => Promise<unknown>,
    ): Promise<unknown> => task({}, { onCancellationRequested: () => ({ dispose: () => undefined }) }),
  },
}));

const { RayTokens } = await import("../../../extension/editor/remote/tokens.ts");

let ray: FakeRay;
let kept: Map<string, string>;
let tokens: InstanceType<typeof RayTokens>;
around(
  "each",
  async () => {
    vi.stubEnv("RAY_AUTH_TOKEN", undefined);
    user.enters = [];
    user.asked = [];
    ray = new FakeRay();
    await ray.start();
    kept = new Map();
    tokens = new RayTokens({
      get: (key: string) => Promise.resolve(kept.get(key)),
      store: (key: string, value: string) => Promise.resolve(void kept.set(key, value)),
    } as unknown as ConstructorParameters<typeof RayTokens>[0]);
  },
  async () => {
    vi.unstubAllEnvs();
    await ray.stop();
  },
);
const address = (): string => `127.0.0.1:${ray.port}`;

test("asks for the token once, hides it, and keeps it for this cluster", async () => {
  ray.token = "secret";
  user.enters = ["secret"];
  expect(await tokens.authorize(ray.target)).toBe(true);
  expect(await tokens.authorize(ray.target)).toBe(true);
  expect(user.asked).toMatchObject([{ password: true, title: "Token of cluster" }]);
  expect(await tokens.all()).toEqual({ [address()]: "secret" });
});

test("gives a command line the tokens that it keeps, and asks for none where no cluster is", async () => {
  ray.token = "secret";
  user.enters = ["secret"];
  await tokens.authorize(ray.target);
  expect(await tokens.environment()).toEqual({
    LAYERWISE_RAY_TOKENS: JSON.stringify({ [address()]: "secret" }),
  });
  const { kind: _, ...machine } = ray.target;
  expect(await tokens.authorize(machine)).toBe(true);
  expect(user.asked).toHaveLength(1);
});

test("asks nothing where no token is required", async () => {
  expect(await tokens.authorize(ray.target)).toBe(true);
  expect(user.asked).toEqual([]);
  expect(kept.size).toBe(0);
});

test("asks again for a token that is no longer accepted", async () => {
  ray.token = "first";
  user.enters = ["first", "wrong", "second"];
  await tokens.authorize(ray.target);
  ray.token = "second";
  expect(await tokens.authorize(ray.target)).toBe(true);
  expect(user.asked).toHaveLength(3);
  expect(user.asked[2]).toMatchObject({ prompt: "The cluster doesn't accept the token. Enter another one." });
  expect(await tokens.all()).toEqual({ [address()]: "second" });
});

test("cancelling starts nothing, and what can't be reached is an error", async () => {
  ray.token = "secret";
  expect(await tokens.authorize(ray.target)).toBe(false);
  expect(kept.size).toBe(0);
  ray.instead = (request) => {
    request.socket.destroy();
    return true;
  };
  await expect(tokens.authorize(ray.target)).rejects.toThrow(/no connection to cluster/);
});

test("uses the environment's token without a question, and ignores damaged secrets", async () => {
  ray.token = "secret";
  kept.set("layerwise.rayTokens", "no JSON");
  vi.stubEnv("RAY_AUTH_TOKEN", "secret");
  expect(await tokens.authorize(ray.target)).toBe(true);
  expect(user.asked).toEqual([]);
  expect(await tokens.all()).toEqual({});
});
