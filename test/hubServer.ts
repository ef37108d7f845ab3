// A small server that answers as the Hugging Face Hub does, to our library and to Python's.
import { createHash } from "node:crypto";
import fs from "node:fs";
import http from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";

export const COMMIT = "0123456789abcdef0123456789abcdef01234567";
export const NAME = "someone/tiny";

export const hash = (kind: "sha1" | "sha256", ...parts: (string | Buffer)[]): string =>
  parts.reduce((sum, part) => sum.update(part), createHash(kind)).digest("hex");

interface Asked {
  url: string;
  range: string | undefined;
  authorization: string | undefined;
}

/** Serves the files of a folder as a model of one commit; its weights are a large file, as the hub keeps them. */
export class HubServer {
  readonly content: ReadonlyMap<string, Buffer>;
  readonly asked: Asked[] = [];
  /** Bytes of the weights after which the connection breaks. */
  breakAfter: number | undefined;
  refuse: { status: number; error: string } | undefined;
  readonly #server: http.Server;

  constructor(folder: string) {
    this.content = new Map(
      fs.readdirSync(folder).map((name) => [name, fs.readFileSync(path.join(folder, name))]),
    );
    this.#server = http.createServer((request, response) => this.#answer(request, response));
  }

  get weights(): Buffer {
    return this.content.get("model.safetensors")!;
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => void this.#server.listen(0, "127.0.0.1", resolve));
  }

  /** An address at which nothing listens. */
  readonly nowhere = "http://127.0.0.1:1";

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  #answer(request: http.IncomingMessage, response: http.ServerResponse): void {
    const { pathname } = new URL(request.url!, "http://hub");
    const { range, authorization } = request.headers;
    this.asked.push({ url: pathname, range, authorization });
    const json = (value: unknown, status = 200): void =>
      void response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
    if (this.refuse !== undefined) return json({ error: this.refuse.error }, this.refuse.status);
    const siblings = [...this.content.keys()].map((rfilename) => ({ rfilename }));
    if (pathname.startsWith(`/api/models/${NAME}/revision/`))
      return json({ id: NAME, _id: "1", sha: COMMIT, siblings });
    if (pathname.startsWith(`/api/models/${NAME}/tree/${COMMIT}`))
      return json(
        [...this.content].map(([name, bytes]) => ({
          type: "file",
          path: name,
          size: bytes.length,
          ...this.#hashes(bytes),
        })),
      );
    const [, name = ""] = new RegExp(`^/${NAME}/resolve/(?:${COMMIT}|main)/(.*)$`).exec(pathname) ?? [];
    const file = this.content.get(name);
    if (file === undefined) return json({ error: "Repository not found" }, 404);
    this.#file(request, response, file);
  }

  #hashes(bytes: Buffer): { oid: string; lfs?: object } {
    const oid = hash("sha1", `blob ${bytes.length}\0`, bytes);
    if (bytes !== this.weights) return { oid };
    return { oid, lfs: { oid: hash("sha256", bytes), size: bytes.length, pointerSize: 130 } };
  }

  #file(
    { method, headers: { range } }: http.IncomingMessage,
    response: http.ServerResponse,
    file: Buffer,
  ): void {
    const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(range ?? "bytes=0-")!;
    const [from, to] = [Number(first), last === "" ? file.length - 1 : Number(last)];
    const large = file === this.weights;
    response.writeHead(range === undefined ? 200 : 206, {
      "content-range": `bytes ${from}-${to}/${file.length}`,
      "content-length": to - from + 1,
      "x-repo-commit": COMMIT,
      etag: `"${large ? hash("sha256", file) : this.#hashes(file).oid}"`,
      ...(large ? { "x-linked-size": file.length, "x-linked-etag": `"${hash("sha256", file)}"` } : {}),
    });
    const broken = large && to > from ? this.breakAfter : undefined;
    if (method === "HEAD") response.end();
    else if (broken === undefined) response.end(file.subarray(from, to + 1));
    else response.write(file.subarray(from, from + broken), () => setTimeout(() => response.destroy(), 20));
  }
}
