// The program on the machine of the runs: it serves a connection; with "keep" it keeps a run, with "job" it is a job of Ray, with
// "worker" it serves such a job on a node.
import { Agent } from "./agent.ts";
import { job } from "./job.ts";
import { serveJob } from "./jobWorker.ts";
import { keep } from "./keeper.ts";

if (process.argv[2] === "keep") void keep();
else if (process.argv[2] === "job") void job();
else if (process.argv[2] === "worker") void serveJob();
else void new Agent({ input: process.stdin, output: process.stdout });
