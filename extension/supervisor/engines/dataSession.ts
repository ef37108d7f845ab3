import * as v from "valibot";
import {
  DataDraws,
  DataPage,
  DataReading,
  DataSample,
  DataSummary,
  type DataQuery,
  type DataRequest,
  type DataSessionEvents,
  type DataSessionMethods,
  type SamplePlace,
} from "../../protocol/data/data.ts";
import { OpenTensor } from "../../protocol/tensorValues.ts";
import type { SessionOptions } from "./engineSession.ts";
import type { EngineOptions } from "./process.ts";
import { TensorSession } from "./tensorSession.ts";

export interface DataSessionOptions extends SessionOptions {
  /** Called while the data is read, about ten times a second. */
  onReading?(progress: DataReading): void;
}

/** A process that holds the data of an experiment and shows its samples. */
export class DataSession extends TensorSession<DataSessionMethods, DataSessionEvents, unknown> {
  constructor(request: DataRequest, engine: () => EngineOptions, options: DataSessionOptions = {}) {
    super(
      {
        name: "data",
        open: (remote) => remote.openData(request),
        schemas: { reading: v.strictTuple([DataReading]) },
        handlers: { reading: (progress) => options.onReading?.(progress) },
      },
      engine,
      options,
    );
  }

  /** Undefined when it was cancelled, as the other answers, or a newer question of its kind took its place. */
  summary(): Promise<DataSummary | undefined> {
    return this.question("summary", DataSummary, async (_, opened) => opened);
  }

  samples(query: DataQuery): Promise<DataPage | undefined> {
    return this.question("samples", DataPage, (remote) => remote.dataSamples(query));
  }

  places(places: SamplePlace[]): Promise<DataSample[] | undefined> {
    return this.question("places", v.array(DataSample), (remote) => remote.dataPlaces(places));
  }

  openTensor(place: SamplePlace, name: string): Promise<OpenTensor | undefined> {
    return this.question(`open ${name}`, OpenTensor, (remote) => remote.openTensor(place, name));
  }

  draw(place: SamplePlace): Promise<DataDraws | undefined> {
    return this.question("draw", DataDraws, (remote) => remote.drawSample(place));
  }
}
