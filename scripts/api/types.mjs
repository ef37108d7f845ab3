// @ts-check
/**
 * Makes the package's declarations readable. They compute, by types, every form in which a call may have its arguments; a reader
 * wants parameters. Base classes that functions make get a name, and methods of tensors are spelled out.
 */
import fs from "node:fs";
import path from "node:path";
import ts from "typescript";

/** Declarations of functions in every form; here they are what they implement. */
const PLAIN = {
  "index.d.ts": '/** @module layerwise */\nexport * from "./nn/index.ts";\n',
  "nn/torchFunctions.d.ts": 'export * from "../tensor/torch.ts";\n',
  "nn/functional/callable.d.ts": 'export * as functional from "./index.ts";\n',
};

/** The compiler's options for these declarations, which TypeDoc has too. */
export const COMPILER_OPTIONS = {
  module: "preserve",
  moduleResolution: "bundler",
  target: "es2022",
  lib: ["es2023"],
  strict: true,
  allowImportingTsExtensions: true,
  noEmit: true,
  skipLibCheck: true,
};

/** Headings of namespaces, by the folder or file of what is below them; none for what "layerwise" itself exports. @type {readonly [RegExp, string][]} */
const CATEGORIES = [
  [/\/slice\.|\/core\//, ""],
  [/^nn\/(?:modules|functional)\/activation\//, "Activations"],
  [/^nn\/(?:modules|functional)\/attention\//, "Attention and transformers"],
  [/^nn\/modules\/containers\//, "Containers"],
  [/^nn\/(?:modules|functional)\/conv\//, "Convolutions"],
  [/^nn\/modules\/dropout/, "Dropout"],
  [/^nn\/(?:modules|functional)\/embedding/, "Embeddings"],
  [/^nn\/(?:modules|functional)\/linear/, "Linear"],
  [/^nn\/(?:modules|functional)\/loss\//, "Losses"],
  [/^nn\/module\//, "Modules"],
  [/^nn\/(?:modules|functional)\/norm\//, "Normalization"],
  [/^nn\/(?:modules|functional)\/pooling\//, "Pooling"],
  [/^nn\/models\//, "Pretrained models"],
  [/^nn\/(?:modules|functional)\/recurrent/, "Recurrent"],
  [/^nn\/(?:modules|functional)\/vision\//, "Images and shapes"],
  [/^tensor\/functions\/creation\/(?:random|sampling)/, "Random numbers"],
  [/^tensor\/functions\/creation\//, "Creation and conversion"],
  [/^tensor\/functions\/indexing\//, "Indexing"],
  [/^tensor\/(?:functions\/)?linalg/, "Linear algebra"],
  [/^tensor\/functions\/pointwise\//, "Pointwise"],
  [/^tensor\/functions\/reduction\//, "Reductions"],
  [/^tensor\/functions\/shape\//, "Shapes"],
  [/^tensor\/(?:recording|differentiation)\/|^tensor\/functions\/grad/, "Gradients"],
  [/^tensor\/platform\//, "Devices and types"],
  [/^tensor\/sparse/, "Sparse tensors"],
];

/** Types by their place, since not every file imports what an expanded one names. */
const FLAGS = /** @type {ts.TypeFormatFlags} */ (
  ts.TypeFormatFlags.NoTruncation | ts.TypeFormatFlags.UseFullyQualifiedType
);

/** @typedef {{ start: number, end: number, text: string }} Edit */

/** @param {string} folder The declarations. @param {readonly string[]} typeRoots */
export function readableTypes(folder, typeRoots) {
  const compile = () => {
    const { options } = ts.convertCompilerOptionsFromJson(
      { ...COMPILER_OPTIONS, types: ["node"], typeRoots },
      folder,
    );
    const program = ts.createProgram([path.join(folder, "index.d.ts")], options);
    const own = program
      .getSourceFiles()
      .filter(
        ({ fileName }) => fileName.startsWith(`${folder}/`) && !fileName.startsWith(`${folder}/vendor/`),
      );
    return { checker: program.getTypeChecker(), own };
  };
  for (const [name, text] of Object.entries(PLAIN)) fs.writeFileSync(path.join(folder, name), text);
  const before = compile();
  for (const source of before.own) nameExports(source, before.checker);
  const after = compile();
  const rewriter = new Rewriter(after.checker, folder);
  for (const source of after.own)
    fs.writeFileSync(source.fileName, edited(source.text, rewriter.editsOf(source)));
}

/**
 * Exports all types of a file, since expanded ones name what only their own file needed; modules and namespaces that export
 * whole files name what was public before.
 * @param {ts.SourceFile} source @param {ts.TypeChecker} checker
 */
function nameExports(source, checker) {
  const edits = source.statements.filter(ts.isExportDeclaration).flatMap((node) => {
    const { moduleSpecifier: from, exportClause: clause } = node;
    const symbol = from === undefined ? undefined : checker.getSymbolAtLocation(from);
    if (from === undefined || symbol === undefined || (clause !== undefined && !ts.isNamespaceExport(clause)))
      return [];
    const names = checker.getExportsOfModule(symbol).map(({ name }) => name);
    const list = `export { ${names.join(", ")} } from`;
    if (clause === undefined)
      return [{ start: node.getStart(), end: node.end, text: `${list} ${from.getText()};` }];
    const file = path
      .resolve(path.dirname(source.fileName), from.getText().slice(1, -1))
      .replace(/\.ts$/, "");
    fs.writeFileSync(`${file}.public.d.ts`, `${list} "./${path.basename(file)}.ts";\n`);
    return [{ start: from.getStart(), end: from.end, text: from.getText().replace(/\.ts"$/, '.public.ts"') }];
  });
  const text = edited(source.text, edits).replace(
    /^(?=(?:declare abstract class|declare class|interface|type) )/gm,
    "export ",
  );
  fs.writeFileSync(source.fileName, text);
}

/** Text after edits. Those inside of a removed part go with it. @param {string} text @param {Edit[]} edits */
function edited(text, edits) {
  const removed = edits.filter((one) => one.text === "");
  const inside = (/** @type {Edit} */ { start, end }) =>
    removed.some((one) => one.start <= start && end <= one.end && one.end - one.start > end - start);
  return edits
    .filter((one) => !inside(one))
    .toSorted((a, b) => b.start - a.start || b.end - a.end)
    .reduce((now, { start, end, text: by }) => now.slice(0, start) + by + now.slice(end), text);
}

class Rewriter {
  /** @param {ts.TypeChecker} checker @param {string} folder */
  constructor(checker, folder) {
    this.checker = checker;
    this.folder = folder;
  }

  /** @param {ts.SourceFile} source @returns {Edit[]} */
  editsOf(source) {
    /** @type {Edit[]} */
    const edits = [];
    const visit = (/** @type {ts.Node} */ node) => {
      if (ts.isClassDeclaration(node)) edits.push(...this.#baseClass(node));
      if (ts.isInterfaceDeclaration(node) && node.name.text === "Tensor") edits.push(...this.#methods(node));
      if (ts.isVariableStatement(node) && isMadeBase(node)) edits.push(replace(node, ""));
      if (isCall(node)) edits.push(...this.#call(node));
      if (isHidden(node)) edits.push(replace(node, ""));
      if (node.parent === source) edits.push(...this.#tags(node));
      ts.forEachChild(node, visit);
    };
    visit(source);
    return edits;
  }

  /** A call in every form: its overloads say enough, or else it is spelled out. @param {Call} node @returns {Edit[]} */
  #call(node) {
    const signature = this.checker.getSignatureFromDeclaration(node);
    if (signature === undefined || isPlain(this.checker, signature)) return [];
    const overloads =
      node.name === undefined ? constructorsOf(node) : declarationsOf(this.checker, node.name);
    const others = overloads.map((one) => this.checker.getSignatureFromDeclaration(one));
    if (others.some((one) => one !== undefined && isPlain(this.checker, one))) return [replace(node, "")];
    const [first] = node.parameters;
    const last = node.parameters.at(-1);
    if (first === undefined || last === undefined) return [];
    const [parameters = ""] = this.#forms(signature, node);
    return [{ start: first.getStart(), end: last.end, text: parameters }];
  }

  /**
   * The parameters of a signature whose rest is a choice of tuples: by position, if they have names, else by name.
   * @param {ts.Signature} signature @param {ts.Node} place @returns {string[]}
   */
  #forms(signature, place) {
    const { checker } = this;
    const parameters = signature.getParameters();
    const rest = parameters.at(-1);
    const tuples = rest === undefined ? [] : tuplesOf(checker.getTypeOfSymbolAtLocation(rest, place));
    if (rest === undefined || tuples.length === 0)
      return [parameters.map((one) => this.#parameter(one, place)).join(", ")];
    const front = parameters.slice(0, -1).map((one) => this.#parameter(one, place));
    const named = tuples.find((one) => labelsOf(one).join() === "named");
    const positional = tuples
      .filter((one) => labelsOf(one).every((label) => label !== undefined && label !== "named"))
      .sort((a, b) => labelsOf(b).length - labelsOf(a).length)[0];
    const forms = [];
    if (positional !== undefined && (labelsOf(positional).length > 0 || tuples.length === 1)) {
      const types = checker.getTypeArguments(positional);
      const { minLength, elementFlags } = positional.target;
      const texts = labelsOf(positional).map((label, i) => {
        const type = this.#type(/** @type {ts.Type} */ (types[i]), place);
        if (Number(elementFlags[i]) & ts.ElementFlags.Rest) return `...${label}: (${type})[]`;
        return `${label}${i < minLength ? "" : "?"}: ${type}`;
      });
      forms.push([...front, ...texts].join(", "));
    }
    if (named !== undefined) {
      const [type] = checker.getTypeArguments(named);
      const optional = tuples.some((one) => labelsOf(one).length === 0) ? "?" : "";
      forms.push(
        [...front, `options${optional}: ${this.#type(/** @type {ts.Type} */ (type), place)}`].join(", "),
      );
    }
    return forms;
  }

  /** @param {ts.Symbol} symbol @param {ts.Node} place */
  #parameter(symbol, place) {
    const declaration = symbol.valueDeclaration;
    const parameter = declaration !== undefined && ts.isParameter(declaration) ? declaration : undefined;
    const type = this.#type(this.checker.getTypeOfSymbolAtLocation(symbol, place), place);
    const rest = parameter?.dotDotDotToken === undefined ? "" : "...";
    const optional = parameter?.questionToken === undefined ? "" : "?";
    return `${rest}${symbol.name}${optional}: ${type}`;
  }

  /** @param {ts.Type} type @param {ts.Node} place */
  #type(type, place) {
    return this.checker.typeToString(type, place, FLAGS);
  }

  /**
   * A class whose base a function makes: the constructor and the fields that it gets from there become its own.
   * @param {ts.ClassDeclaration} node @returns {Edit[]}
   */
  #baseClass(node) {
    const heritage = node.heritageClauses?.find(({ token }) => token === ts.SyntaxKind.ExtendsKeyword);
    const [base] = heritage?.types ?? [];
    if (base === undefined || heritage === undefined) return [];
    const [signature] = this.checker.getTypeAtLocation(base.expression).getConstructSignatures();
    if (!ts.isIdentifier(base.expression) || signature === undefined) return [];
    const made = base.expression.text.endsWith("_base");
    if (!made && !OWN_BASE.test(base.expression.text)) return [];
    const instance = signature.getReturnType();
    const parts = instance.isIntersection() ? instance.types : [instance];
    const ancestor = parts.find((one) => one.isClassOrInterface() || isReference(one)) ?? instance;
    const own = node.members.some(ts.isConstructorDeclaration);
    const forms = own || !made ? [] : this.#forms(signature, node).map((one) => `    constructor(${one});\n`);
    const fields = parts
      .filter((one) => one !== ancestor && made)
      .flatMap((one) => one.getProperties())
      .filter(({ name }) => !node.members.some((member) => member.name?.getText() === name))
      .map(
        (one) =>
          `    readonly ${one.name}: ${this.#type(this.checker.getTypeOfSymbolAtLocation(one, node), node)};\n`,
      );
    const members = node.members.pos;
    const { name, imported } = this.#heritage(ancestor, node);
    return [
      { start: 0, end: 0, text: imported },
      { start: base.getStart(), end: base.end, text: name },
      { start: members, end: members, text: `\n${forms.join("")}${fields.join("")}` },
    ];
  }

  /**
   * A class's name for a heritage clause, which can't have an import type, and the import that it needs.
   * @param {ts.Type} type @param {ts.Node} place @returns {{ name: string, imported: string }}
   */
  #heritage(type, place) {
    const named = type.symbol?.name ?? "";
    const [above] = OWN_BASE.test(named)
      ? (this.checker.getBaseTypes(/** @type {ts.InterfaceType} */ (targetOf(type))) ?? [])
      : [];
    if (above !== undefined) return this.#heritage(above, place);
    const text = this.#type(type, place);
    const [, from, name = "", rest = ""] = /^import\("([^"]+)"\)\.(\w+)(.*)$/s.exec(text) ?? [];
    if (from === undefined) return { name: text, imported: "" };
    // An optimizer's options show in its constructor.
    const parameters = name === "Optimizer" ? "" : rest;
    return {
      name: `Base${name}${parameters}`,
      imported: `import { ${name} as Base${name} } from "${from}.ts";\n`,
    };
  }

  /** The methods of tensors, which are functions by other types. @param {ts.InterfaceDeclaration} node @returns {Edit[]} */
  #methods(node) {
    const [heritage] = node.heritageClauses ?? [];
    /** @type {Edit[]} */
    const edits = node.members.filter(ts.isPropertySignature).flatMap((member) => {
      const symbol = this.checker.getSymbolAtLocation(member.name);
      const text = symbol === undefined ? "" : this.#method(symbol, node, "");
      return text === "" ? [] : [{ start: member.getStart(), end: member.end, text }];
    });
    if (heritage === undefined) return edits;
    /** @type {Map<string, string>} */
    const members = new Map();
    for (const type of heritage.types.map((one) => this.checker.getTypeAtLocation(one)))
      for (const property of type.getProperties())
        members.set(property.name, this.#method(property, node, this.#docOf(property.declarations?.[0])));
    const at = node.members.pos;
    return [
      ...edits,
      { start: heritage.getStart(), end: heritage.end, text: "" },
      { start: at, end: at, text: `\n${[...members.values()].join("\n")}\n` },
    ];
  }

  /** @param {ts.Symbol} symbol @param {ts.Node} place @param {string} doc */
  #method(symbol, place, doc) {
    const signatures = this.checker.getTypeOfSymbolAtLocation(symbol, place).getCallSignatures();
    // Without quotes, it would be a constructor.
    const name = symbol.name === "new" ? '"new"' : symbol.name;
    const plain = signatures.filter((one) => isPlain(this.checker, one));
    return (plain.length > 0 ? plain : signatures.slice(0, 1))
      .flatMap((one) =>
        this.#forms(one, place).map(
          (parameters) => `${doc}${name}(${parameters}): ${this.#type(one.getReturnType(), place)};`,
        ),
      )
      .join("\n");
  }

  /** Puts a heading, and the mark of a function, into a declaration's docstring. @param {ts.Node} node @returns {Edit[]} */
  #tags(node) {
    const exported =
      ts.canHaveModifiers(node) &&
      ts.getModifiers(node)?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword);
    if (!exported) return [];
    const [constant] = ts.isVariableStatement(node) ? node.declarationList.declarations : [];
    const type = constant === undefined ? undefined : this.checker.getTypeAtLocation(constant);
    const isFunction =
      type !== undefined && type.getCallSignatures().length > 0 && type.getConstructSignatures().length === 0;
    const category = this.#categoryOf(node);
    // Every form of a call.
    const machinery = ts.isTypeAliasDeclaration(node) && /\b(?:Arguments|Call)</.test(node.type.getText());
    const tags = [
      ...(machinery ? ["@hidden"] : []),
      ...(isFunction ? ["@function"] : []),
      ...(category === undefined ? [] : [`@category ${category}`]),
    ];
    if (tags.length === 0) return [];
    const doc = ts.getJSDocCommentsAndTags(node).filter(ts.isJSDoc).at(-1);
    const at = doc === undefined ? node.getStart() : doc.end - 2;
    const text = doc === undefined ? `/** ${tags.join("\n")} */\n` : `\n${tags.join("\n")}\n`;
    return [{ start: at, end: at, text }];
  }

  /** @param {ts.Node} node */
  #categoryOf(node) {
    const file = path.relative(this.folder, node.getSourceFile().fileName).replaceAll("\\", "/");
    return CATEGORIES.find(([pattern]) => pattern.test(file))?.[1] || undefined;
  }

  /** The docstring of a declaration, or of the statement around it, with its heading. @param {ts.Node | undefined} node */
  #docOf(node) {
    if (node === undefined) return "";
    const category = this.#categoryOf(node);
    const tag = category === undefined ? "" : `\n@category ${category}\n`;
    for (let at = node; at !== undefined && !ts.isSourceFile(at); at = at.parent) {
      const doc = ts.getJSDocCommentsAndTags(at).filter(ts.isJSDoc).at(-1);
      if (doc !== undefined) return `${doc.getText().replace(/\*\/$/, () => `${tag}*/`)}\n`;
    }
    return tag === "" ? "" : `/** ${tag} */\n`;
  }
}

/** Base classes of the library's own modules, optimizers and schedules: programs extend those above them. */
const OWN_BASE = /^BuiltIn(?:Optimizer|Schedule)?$/;

/** @param {ts.Type} type */
const targetOf = (type) => (isReference(type) ? type.target : type);

/** @typedef {ts.ConstructorDeclaration | ts.MethodDeclaration | ts.FunctionDeclaration | ts.MethodSignature} Call */

/** @param {ts.Node} node @returns {node is Call} */
const isCall = (node) =>
  ts.isConstructorDeclaration(node) ||
  ts.isMethodDeclaration(node) ||
  ts.isFunctionDeclaration(node) ||
  ts.isMethodSignature(node);

/** Whether a signature's parameters are what it says: the rest is no choice of tuples. @param {ts.TypeChecker} checker @param {ts.Signature} signature */
function isPlain(checker, signature) {
  const rest = signature.getParameters().at(-1);
  const declaration = rest?.valueDeclaration;
  if (rest === undefined || declaration === undefined) return true;
  if (!ts.isParameter(declaration) || declaration.dotDotDotToken === undefined) return true;
  const type = checker.getTypeOfSymbolAtLocation(rest, declaration);
  return !type.isUnion() && (type.flags & ts.TypeFlags.Conditional) === 0;
}

/** @param {ts.Type} type @returns {ts.TupleTypeReference[]} */
const tuplesOf = (type) =>
  /** @type {ts.TupleTypeReference[]} */ (
    (type.isUnion() ? type.types : [type]).filter(
      (one) =>
        isReference(one) &&
        (/** @type {ts.TupleType} */ (one.target).objectFlags & ts.ObjectFlags.Tuple) !== 0,
    )
  );

/** @param {ts.TupleTypeReference} tuple */
const labelsOf = ({ target }) =>
  target.elementFlags.map((_, i) => target.labeledElementDeclarations?.[i]?.name.getText());

/** @param {ts.Type} type @returns {type is ts.TypeReference} */
const isReference = (type) =>
  (type.flags & ts.TypeFlags.Object) !== 0 &&
  (/** @type {ts.ObjectType} */ (type).objectFlags & ts.ObjectFlags.Reference) !== 0;

/** @param {ts.VariableStatement} node */
const isMadeBase = ({ declarationList: { declarations } }) =>
  declarations.some(({ name }) => ts.isIdentifier(name) && name.text.endsWith("_base"));

/** @param {Call} node @returns {Call[]} */
const constructorsOf = (node) =>
  ts.isClassLike(node.parent) ? node.parent.members.filter(ts.isConstructorDeclaration) : [];

/** @param {ts.TypeChecker} checker @param {ts.PropertyName} name @returns {Call[]} */
const declarationsOf = (checker, name) =>
  checker.getSymbolAtLocation(name)?.declarations?.filter(isCall) ?? [];

/** Members for Node's console, and the call of a module, which its forward says. @param {ts.Node} node */
const isHidden = (node) =>
  (ts.isClassElement(node) && node.name !== undefined && /^\[[A-Z_]+\]$/.test(node.name.getText())) ||
  (ts.isCallSignatureDeclaration(node) && node.getText().includes('this["forward"]'));

/** Replaces a node with its docstring. @param {ts.Node} node @param {string} text @returns {Edit} */
const replace = (node, text) => ({ start: node.getFullStart(), end: node.end, text });
