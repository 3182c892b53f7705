import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

export const root = fileURLToPath(new URL("../..", import.meta.url));

/** Name of an entry, as users import it -> the declarations that the build makes for it. */
export function entries() {
  const { exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  return Object.entries(exports).map(([name, { types }]) => ({
    name: name === "." ? "bootproof" : `bootproof${name.slice(1)}`,
    file: join(root, types),
  }));
}

/**
 * What each entry hands out: per name its kind and signature in one line, and whether its docstring is complete. Read from the
 * built declarations, so the build has to be of today.
 */
export function surfaces() {
  const all = entries();
  const program = ts.createProgram(
    all.map(({ file }) => file),
    {
      module: ts.ModuleKind.NodeNext,
      moduleResolution: ts.ModuleResolutionKind.NodeNext,
      target: ts.ScriptTarget.ES2023,
      skipLibCheck: true,
      types: ["node"],
    },
  );
  const checker = program.getTypeChecker();
  return all.map(({ name, file }) => {
    const module = checker.getSymbolAtLocation(program.getSourceFile(file));
    const symbols = checker
      .getExportsOfModule(module)
      .map((symbol) => ({ name: symbol.name, target: resolved(checker, symbol) }));
    return {
      name,
      exports: symbols.map((one) => describe(checker, one)).sort((a, b) => (a.name < b.name ? -1 : 1)),
    };
  });
}

const resolved = (checker, symbol) =>
  symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;

function describe(checker, { name, target }) {
  const declaration = target.valueDeclaration ?? target.declarations?.[0];
  const docs = ts.displayPartsToString(target.getDocumentationComment(checker)).trim();
  const tags = target.getJsDocTags(checker).map((tag) => ({
    name: tag.name,
    text: ts.displayPartsToString(tag.text),
  }));
  const isFunction = declaration !== undefined && ts.isFunctionDeclaration(declaration);
  const line = `${name}: ${signatureOf(checker, target, declaration)}`;
  return { name, line, isFunction, ...shapeOf(checker, isFunction ? declaration : undefined), docs, tags };
}

function shapeOf(checker, declaration) {
  if (declaration === undefined) return { parameters: [], returnsSomething: false };
  const parameters = declaration.parameters.map(({ name }) =>
    ts.isIdentifier(name) ? name.text : undefined,
  );
  const type = checker.typeToString(checker.getSignatureFromDeclaration(declaration).getReturnType());
  return { parameters, returnsSomething: !/^(?:Promise<)?void>?$/.test(type) };
}

const FLAT = ts.TypeFormatFlags.NoTruncation | ts.TypeFormatFlags.WriteArrowStyleSignature;

function signatureOf(checker, symbol, declaration) {
  const flat = (text) =>
    text
      .replace(/\/\*.*?\*\//gs, "")
      .replace(/\s+/g, " ")
      .trim();
  if (declaration === undefined) return "?";
  if (ts.isFunctionDeclaration(declaration))
    return flat(
      checker
        .getTypeOfSymbolAtLocation(symbol, declaration)
        .getCallSignatures()
        .map((one) => checker.signatureToString(one, undefined, FLAT))
        .join(" & "),
    );
  const text = flat(declaration.getText().replace(/^export (declare )?/, ""));
  if (ts.isClassDeclaration(declaration)) return flat(text.replace(/#private;/, ""));
  if (ts.isVariableDeclaration(declaration)) return flat(`const ${declaration.type?.getText() ?? "?"}`);
  return text;
}

/** One line per name, as it is checked in. */
export function listOf({ exports }) {
  return exports.map(({ line }) => `${line}\n`).join("");
}

/** Where the list of an entry is checked in. */
export function fileOf({ name }) {
  return join(root, "test/api", `${name.replace("/", "-")}.txt`);
}
