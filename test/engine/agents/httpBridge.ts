// The conformance suite speaks HTTP and `layerwise mcp` standard input and output: the official SDK's transports, joined.
import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { ReadableStream } from "node:stream/web";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { WebStandardStreamableHTTPServerTransport } from "@modelcontextprotocol/server";

export interface Bridge {
  readonly url: string;
  close(): Promise<void>;
}

/** Serves each HTTP session from a process of its own. Messages pass as they are. */
export async function openBridge(command: readonly string[], env: Record<string, string>): Promise<Bridge> {
  const sessions = new Map<string, WebStandardStreamableHTTPServerTransport>();
  const processes: StdioClientTransport[] = [];

  const newSession = async (): Promise<WebStandardStreamableHTTPServerTransport> => {
    const [program, ...args] = command;
    const child = new StdioClientTransport({ command: program!, args, env, stderr: "ignore" });
    processes.push(child);
    const http = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (id) => void sessions.set(id, http),
    });
    // oxlint-disable unicorn/prefer-add-event-listener -- transports have no events
    http.onmessage = (message) => void child.send(message);
    child.onmessage = (message) => void http.send(message).catch(() => undefined);
    // oxlint-enable unicorn/prefer-add-event-listener
    await Promise.all([child.start(), http.start()]);
    return http;
  };

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const id = request.headers["mcp-session-id"];
    const session = (typeof id === "string" ? sessions.get(id) : undefined) ?? (await newSession());
    const { status, headers, body } = await session.handleRequest(webRequest(request));
    response.writeHead(status, Object.fromEntries(headers));
    response.flushHeaders();
    if (body === null) response.end();
    else await pipeline(Readable.fromWeb(body as ReadableStream), response).catch(() => undefined);
  };

  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => response.writeHead(500).end(String(error)));
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`,
    async close() {
      server.closeAllConnections();
      await Promise.all([
        new Promise<void>((resolve) => void server.close(() => resolve())),
        ...processes.map((child) => child.close()),
      ]);
    },
  };
}

function webRequest(request: IncomingMessage): Request {
  const { method = "GET", headers, url = "/" } = request;
  const body = method === "GET" || method === "HEAD" || method === "DELETE" ? {} : bodyOf(request);
  const given = Object.entries(headers).map(([name, value]): [string, string] => [name, String(value)]);
  return new Request(`http://127.0.0.1${url}`, { method, headers: given, ...body });
}

const bodyOf = (request: IncomingMessage): RequestInit =>
  ({ body: Readable.toWeb(request), duplex: "half" }) as RequestInit;
