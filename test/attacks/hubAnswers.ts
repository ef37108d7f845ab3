// Answers of a hub, honest or not.
import { createHash } from "node:crypto";
import http from "node:http";

export type Handler = (request: http.IncomingMessage, response: http.ServerResponse) => void;
export interface Entry {
  type: string;
  path: string;
  size: unknown;
  oid?: unknown;
  lfs?: unknown;
}

export const hash = (kind: string, ...parts: (string | Buffer)[]): string =>
  parts.reduce((sum, part) => sum.update(part), createHash(kind)).digest("hex");

/** How a file is listed, honestly. */
export function entry(path: string, content: Buffer): Entry {
  const oid = hash("sha1", `blob ${content.length}\0`, content);
  const large = path.endsWith(".safetensors") || path.endsWith(".bin");
  const lfs = large ? { oid: hash("sha256", content), size: content.length, pointerSize: 130 } : undefined;
  return { type: "file", path, size: content.length, oid, ...(lfs && { lfs }) };
}

export const json = (value: unknown, headers: http.OutgoingHttpHeaders = {}): Handler => {
  return (_, response) =>
    void response
      .writeHead(200, { "content-type": "application/json", ...headers })
      .end(JSON.stringify(value));
};
export const bytes = (content: Buffer): Handler => {
  return (_, response) => void response.writeHead(200, { "content-length": content.length }).end(content);
};
