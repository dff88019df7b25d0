import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';

export const SOURCE_FOLDER = path.resolve(import.meta.dirname, '../../src');

/** One file of `src/`, read and parsed. */
export interface SourceFile {
  /** From `src/`, with slashes: `config/values/duration.ts`. */
  readonly path: string;
  readonly text: string;
  readonly tree: ts.SourceFile;
}

export interface ImportOf {
  /** The module as it is written. */
  readonly specifier: string;
  /** True where nothing but types is imported, so that nothing is loaded. */
  readonly typeOnly: boolean;
  /** 1 = the first. */
  readonly line: number;
}

export function readSourceFiles(): SourceFile[] {
  const names = readdirSync(SOURCE_FOLDER, { recursive: true, encoding: 'utf8' });
  const files = names.filter((name) => /\.tsx?$/.test(name)).sort();
  return files.map((name) => {
    const text = readFileSync(path.join(SOURCE_FOLDER, name), 'utf8');
    return parseSource(name.split(path.sep).join('/'), text);
  });
}

export function parseSource(file: string, text: string): SourceFile {
  return {
    path: file,
    text,
    tree: ts.createSourceFile(
      file,
      text,
      ts.ScriptTarget.ES2023,
      true,
      file.endsWith('.tsx') ? ts.ScriptKind.TSX : ts.ScriptKind.TS,
    ),
  };
}

/** Every `import`, `export … from`, `import()` and `require()` of a file. */
export function listImports({ text, tree }: SourceFile): ImportOf[] {
  const { importedFiles } = ts.preProcessFile(text, true, true);
  const typeOnlyAt = new Set(
    tree.statements.filter(isTypeOnly).map((statement) => lineAt(tree, statement.end)),
  );
  return importedFiles.map(({ fileName, pos }) => {
    const line = lineAt(tree, pos);
    return { specifier: fileName, line, typeOnly: typeOnlyAt.has(line) };
  });
}

/** Calls `visit` for every identifier that stands for a value in scope, not for a property or a key. */
export function visitNames(tree: ts.SourceFile, visit: (name: ts.Identifier) => void): void {
  const walk = (node: ts.Node): void => {
    if (ts.isIdentifier(node) && !isMemberName(node)) visit(node);
    ts.forEachChild(node, walk);
  };
  walk(tree);
}

export function lineAt(tree: ts.SourceFile, position: number): number {
  return tree.getLineAndCharacterOfPosition(position).line + 1;
}

function isMemberName(node: ts.Identifier): boolean {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent) || ts.isPropertyAssignment(parent)) return parent.name === node;
  if (ts.isQualifiedName(parent)) return parent.right === node;
  return ts.isTypeElement(parent) || ts.isClassElement(parent);
}

function isTypeOnly(statement: ts.Statement): boolean {
  if (ts.isExportDeclaration(statement)) return statement.isTypeOnly;
  if (!ts.isImportDeclaration(statement)) return false;
  const clause = statement.importClause;
  if (clause === undefined) return false;
  if (clause.phaseModifier === ts.SyntaxKind.TypeKeyword) return true;
  const { name, namedBindings } = clause;
  if (name !== undefined || namedBindings === undefined || !ts.isNamedImports(namedBindings)) return false;
  return namedBindings.elements.every((element) => element.isTypeOnly);
}
