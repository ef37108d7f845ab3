import { configured } from "../configured.ts";

export const inplaceText = (inplace: boolean): string => (inplace ? "inplace=True" : "");
export const andInplace = (text: string, inplace: boolean): string =>
  inplace ? `${text}, inplace=True` : text;

/** What the activations that only know `inplace` share. */
export abstract class InPlaceActivation extends configured<[inplace?: boolean]>()("inplace", false) {
  override extraRepr(): string {
    return inplaceText(this.inplace);
  }
}
