/** Details of the selected box; without one, of the model. */
import { html, nothing, type TemplateResult } from "lit";
import type { OnnxNodeDetails, OnnxValue } from "../../extension/protocol/tensors/onnxFile.ts";
import type { FlowNode } from "../../extension/protocol/flow.ts";
import { formatCount } from "../shared/format.ts";
import { linkButton, pairs } from "../shared/widgets.ts";
import { strings } from "../shared/strings.ts";
import type { OnnxState } from "./state.ts";

const text = strings.onnx;

export function details(state: OnnxState, view: (tensor: number) => void): TemplateResult {
  const { ui, diagram, node } = state;
  const box = diagram.drawn?.boxes.get(ui.selected)?.node;
  if (box === undefined) return ofModel(state, view);
  if (box.kind === "input" || box.kind === "output") return ofEnd(box, state, view);
  if (node?.id !== ui.selected || (node.details === undefined && node.error === undefined))
    return head(box.name, box.className ?? "");
  if (node.error !== undefined)
    return html`${head(box.name, "")}
      <p class="notice">${node.error}</p>`;
  return node.details ? ofNode(node.details, view) : ofGroup(box, state);
}

const head = (title: string, kind: string): TemplateResult =>
  html`<div class="details-head">
    <h3>${title}</h3>
    <span class="class-name">${kind}</span>
  </div>`;

const titled = (title: string, content: TemplateResult): TemplateResult =>
  html`<h4>${title}</h4>
    ${content}`;

function ofModel({ model }: OnnxState, view: (tensor: number) => void): TemplateResult {
  const { description, functions, unlisted } = model;
  return html`<p class="secondary details-hint">${text.hint}</p>
    ${description === "" ? nothing : titled(text.description, html`<p class="onnx-text">${description}</p>`)}
    ${valueList(text.inputs, model.inputs, view)} ${valueList(text.outputs, model.outputs, view)}
    ${unlisted === 0 ? nothing : html`<p class="secondary">${text.more(unlisted)}</p>`}
    ${functions.length === 0 ? nothing : titled(text.functions, html`<p class="onnx-text">${functions.join(", ")}</p>`)}`;
}

function ofEnd(box: FlowNode, { model }: OnnxState, view: (tensor: number) => void): TemplateResult {
  const isInput = box.kind === "input";
  const all = isInput ? model.inputs : model.outputs;
  const own = all.filter(({ name }) => name === box.name);
  return html`${head(box.name, isInput ? text.input : text.output)}
  ${valueList(isInput ? text.inputs : text.outputs, own.length > 0 ? own : all, view)}`;
}

function ofGroup(box: FlowNode, { boxes }: OnnxState): TemplateResult {
  const known = boxes.get(box.path);
  const named = box.path.includes(" – ") ? text.section : text.module;
  return html`${head(box.path, known?.className || named)}
  ${pairs("pairs", [
    [text.parameters, formatCount(known?.parameters ?? 0)],
    [text.nodes, formatCount(known?.nodes ?? 0)],
  ])}
  ${known?.cut === true ? html`<p class="secondary">${text.cut}</p>` : nothing}`;
}

function ofNode(node: OnnxNodeDetails, view: (tensor: number) => void): TemplateResult {
  const { name, op, domain, description, attributes, inputs, outputs, subgraphs } = node;
  return html`${head(op, name)} ${domain === "" ? nothing : pairs("pairs", [[text.domain, domain]])}
  ${description === "" ? nothing : html`<p class="onnx-text">${description}</p>`}
  ${valueList(text.inputs, inputs, view)}
  ${
    attributes.length === 0
      ? nothing
      : titled(
          text.attributes,
          pairs(
            "pairs",
            attributes.map(({ name, text, tensor }) => [
              name,
              tensor === undefined ? text : tensorLink(text, name, tensor, view),
            ]),
          ),
        )
  }
  ${valueList(text.outputs, outputs, view)}
  ${
    subgraphs.length === 0
      ? nothing
      : titled(
          text.subgraphs,
          pairs(
            "pairs",
            subgraphs.map(({ name, nodes, ops }) => [name, `${text.inside(nodes)}: ${text.ops(ops)}`]),
          ),
        )
  }`;
}

const tensorLink = (
  shown: string,
  name: string,
  tensor: number,
  view: (tensor: number) => void,
): TemplateResult => linkButton(shown, () => view(tensor), text.viewTensor(name));

function valueList(
  title: string,
  values: readonly OnnxValue[],
  view: (tensor: number) => void,
): TemplateResult | typeof nothing {
  if (values.length === 0) return nothing;
  return titled(
    title,
    pairs(
      "pairs onnx-values",
      values.map((one) => [
        one.tensor === undefined
          ? one.name || text.omitted
          : tensorLink(one.name, one.name, one.tensor, view),
        typeOf(one),
      ]),
    ),
  );
}

/** Its type, and its value if it is a small constant. */
const typeOf = ({ name, type, value }: OnnxValue): TemplateResult =>
  html`${type === "" && value === undefined && name !== "" ? html`<span class="secondary">${text.unknown}</span>` : type}
  ${value === undefined ? nothing : html`<span class="onnx-value">${value}</span>`}`;
