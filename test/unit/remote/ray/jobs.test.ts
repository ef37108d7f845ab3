import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { Jobs, lastLine, packageName } from "../../../../extension/remote/ray/jobs.ts";
import { toUserError } from "../../../../extension/protocol/errors.ts";
import { FakeRay } from "../../../fakeRay.ts";
import { around } from "../../../folders.ts";

let ray: FakeRay;
around(
  "each",
  async () => {
    ray = new FakeRay();
    await ray.start();
  },
  () => ray.stop(),
);

const jobs = (token?: string): Jobs => new Jobs(ray.target, token);

/** The code and text of what a call fails with. */
async function failure(call: Promise<unknown>): Promise<{ code: string; text: string }> {
  const error = toUserError(
    await call.then(
      () => new Error("it didn't fail"),
      (reason: unknown) => reason,
    ),
  );
  return { code: error.code, text: `${error.message} ${error.hint ?? ""}` };
}

/** Answers everything by a status and a text. */
function answer(status: number, text: string, headers: Record<string, string> = {}): void {
  ray.instead = (_, response) => {
    response.writeHead(status, headers).end(text);
    return true;
  };
}

test("asks as a program does, not as a browser", async () => {
  expect(await jobs().version()).toBe("2.60.0");
  expect(ray.requests[0]!.headers).not.toHaveProperty("sec-fetch-mode");
  expect(ray.requests[0]!.headers).not.toHaveProperty("authorization");
});

test("sends the token as Ray wants it, and says how to give one", async () => {
  ray.token = "secret";
  expect(await jobs("secret").version()).toBe("2.60.0");
  const without = await failure(jobs().version());
  expect(without).toMatchObject({ code: "ray-refused" });
  expect(without.text).toContain("it requires a token (HTTP 401)");
  expect(without.text).toContain("RAY_AUTH_TOKEN");
  const wrong = await failure(jobs("other").version());
  expect(wrong.text).toContain("it doesn't accept this token");
  expect(wrong.text).not.toContain("other");
});

test("uploads a package that the cluster doesn't have", async () => {
  const name = packageName("0".repeat(64));
  expect(await jobs().has(name)).toBe(false);
  const told: number[] = [];
  const bytes = Buffer.alloc(600_000, 7);
  await jobs().upload(name, bytes, { progress: (sent) => told.push(sent) });
  expect(ray.packages.get(name)?.equals(bytes)).toBe(true);
  expect(told.at(-1)).toBe(bytes.length);
  expect(told).toEqual(told.toSorted((a, b) => a - b));
  expect(await jobs().has(name)).toBe(true);
});

test("knows jobs by their ids, and stops them", async () => {
  const client = jobs();
  const submission = {
    entrypoint: "x",
    submission_id: "a-1",
    metadata: {},
    runtime_env: { working_dir: "", py_modules: [], env_vars: {} },
  };
  await client.submit(submission);
  expect(await client.job("a-1")).toMatchObject({ status: "PENDING" });
  expect(await client.job("b-1")).toBeUndefined();
  await client.stop("a-1");
  expect(await client.job("a-1")).toMatchObject({ status: "STOPPED" });
  const twice = await failure(client.submit(submission));
  expect(twice.text).toContain("already exists");
});

test("shows the last line of a traceback", async () => {
  answer(
    500,
    'Traceback (most recent call last):\n  File "x.py"\nValueError: Package size exceeds the maximum.\n',
  );
  expect(await failure(jobs().version())).toMatchObject({
    code: "ray",
    text: expect.stringContaining("HTTP 500: ValueError: Package size exceeds the maximum.") as string,
  });
  expect(lastLine("one\r\ntwo\u001b[2J\n\n")).toBe("two\\x1b[2J");
  expect(lastLine("<html>\n<body>\n</html>")).toBe("");
});

test.each([
  ["another server's page", 404, "<html>Not found</html>", "ray", "address of a Ray dashboard"],
  ["a gateway without a dashboard behind it", 502, "<html>Bad gateway</html>", "ray-unreachable", "HTTP 502"],
  ["a redirect, which would carry the token elsewhere", 302, "", "ray", "HTTP 302"],
  ["a page in place of JSON", 200, "<html>Sign in</html>", "remote-protocol", "not JSON"],
  ["JSON of another service", 200, '{"version": 1}', "remote-protocol", "wrong form"],
])("refuses %s", async (_, status, text, code, words) => {
  answer(status, text, { location: "http://127.0.0.1:1/" });
  const { code: found, text: said } = await failure(jobs("secret").version());
  expect(found).toBe(code);
  expect(said).toContain(words);
});

test("refuses another job than the one that it submitted", async () => {
  answer(200, '{"submission_id": "other"}');
  const submission = {
    entrypoint: "x",
    submission_id: "a",
    metadata: {},
    runtime_env: { working_dir: "", py_modules: [], env_vars: {} },
  };
  expect(await failure(jobs().submit(submission))).toMatchObject({ code: "remote-protocol" });
});

test("says that nothing listens, or that the connection is closed", async () => {
  ray.instead = (request) => {
    request.socket.destroy();
    return true;
  };
  expect(await failure(jobs().version())).toMatchObject({ code: "ray-unreachable" });
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  const refused = await failure(new Jobs({ ...ray.target, port }, undefined).version());
  expect(refused.code).toBe("ray-unreachable");
  expect(refused.text).toContain(`http://127.0.0.1:${port}`);
});

test("reads no more of an answer than any has", async () => {
  ray.instead = (_, response) => {
    response.writeHead(200);
    const more = (): void => {
      while (response.write(Buffer.alloc(2 ** 16, " ")));
      response.once("drain", more);
    };
    more();
    return true;
  };
  const { code, text } = await failure(jobs().version());
  expect(code).toBe("remote-protocol");
  expect(text).toContain("too long");
});

test("ends with its signal", async () => {
  ray.instead = () => true;
  const aborted = new AbortController();
  const version = jobs().version(aborted.signal);
  setTimeout(() => aborted.abort(new Error("cancelled")), 50);
  await expect(version).rejects.toThrow("cancelled");
});
